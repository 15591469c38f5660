package session

// PutViewer is tested from outside.
var PutViewer = putViewer
