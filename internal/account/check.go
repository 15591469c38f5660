package account

// Check returns what Adopt would say of a record before it looks who is there already.
func (r Record) Check() error {
	_, err := parseRecord(r)
	return err
}
