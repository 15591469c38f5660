package dpc

// MaxTransfersIP is how many connections the file port takes from one address.
const MaxTransfersIP = maxTransfersIP

// Documented returns what clients send in the transcripts.
var Documented = documented
