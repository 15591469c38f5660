//go:build !unix

package app

func openFiles() (uint64, bool) { return 0, false }
