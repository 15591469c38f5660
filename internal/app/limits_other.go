//go:build !unix

package app

func freeBytes(string) (uint64, bool) { return 0, false }

func openFiles() (uint64, bool) { return 0, false }
