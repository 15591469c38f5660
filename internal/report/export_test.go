package report

// The queries that must not go through all reports.
const (
	AgainQuery = againQuery
	PageQuery  = `SELECT ` + columns + fromReport + ofState + onePage
)
