// Package core is the vocabulary of Parley: the nouns that services, stores and gateways share.
// It knows no wire protocol, no SQL and no HTTP, and imports the standard library only.
package core
