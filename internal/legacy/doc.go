// Package legacy reads what the original servers left: their databases, live or as a dump, with the passwords in the
// form in which Parley can check them.
package legacy
