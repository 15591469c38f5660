package legacy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// copyDump reads the tables out of an SQL dump, in as much memory as its longest text takes.
func copyDump(ctx context.Context, into *spool, path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	d := newDump(into)
	d.lex = newLexer(f, d.comment)
	if err := d.run(ctx); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// dump carries out those statements of a dump that concern the tables of the spool.
type dump struct {
	lex      *lexer
	into     *spool
	database string             // that names without one mean
	charset  string             // that the statements are in
	mode     string             // sql_mode
	kept     map[string]string  // settings that the dump has put away, by the variable
	layouts  map[string]*layout // by database and table, what CREATE TABLE said; nil: not one that Parley can use
	taken    map[string]string  // by table, the database that it is read from
	why      error              // why a table of the right name was left out
	found    []string           // names of tables
	opened   bool               // a comment says that a dump begins, and none that it ends
	pending  bool               // a transaction has begun, and not ended
}

// layout is how a table of the dump serves as one of the spool's.
type layout struct {
	columns []string // as the dump has them
	at      []int    // where the spool's columns are among them, -1 for none
}

func newDump(into *spool) *dump {
	return &dump{into: into, charset: "utf8mb4", kept: map[string]string{}, layouts: map[string]*layout{}, taken: map[string]string{}}
}

func (d *dump) comment(line string) {
	switch {
	case strings.HasPrefix(line, "-- MySQL dump "), strings.HasPrefix(line, "-- MariaDB dump "):
		d.opened = true
	case strings.HasPrefix(line, "-- Dump completed"):
		d.opened = false
	}
}

func (d *dump) run(ctx context.Context) error {
	for {
		t, err := d.lex.next()
		if err != nil {
			return err
		}
		switch {
		case t.kind == endOfDump:
			return d.end()
		case t.kind == endOfStatement:
			continue
		case t.kind != word && !t.is("("):
			return fmt.Errorf("%w: line %d: this is no SQL dump", ErrDamaged, t.line)
		}
		if err := d.statement(ctx, t); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// end looks whether the dump was whole and had what is needed.
func (d *dump) end() error {
	if d.opened {
		return fmt.Errorf("%w: the dump is cut short: its last line, “-- Dump completed”, is missing", ErrDamaged)
	}
	if d.pending {
		return fmt.Errorf("%w: the dump is cut short: the transaction that begins in it has no COMMIT", ErrDamaged)
	}
	home := ""
	for _, t := range d.into.tables {
		db, ok := d.taken[t.name]
		switch {
		case !ok && t.optional:
			continue
		case !ok && d.why != nil:
			return d.why
		case !ok:
			return notFound(t, d.found)
		case home == "":
			home = db
		case db != home:
			return fmt.Errorf("the table %s is of the database %q and not of %q; make a dump of one database", t.there(), db, home)
		}
	}
	return nil
}

func (d *dump) statement(ctx context.Context, first token) error {
	switch strings.ToUpper(first.text) {
	case "SET":
		return d.set()
	case "USE":
		list, err := d.rest(4)
		if err == nil && len(list) > 0 {
			d.database = list[0].text
		}
		return err
	case "CREATE":
		return d.create(ctx)
	case "DROP":
		return d.drop(ctx)
	case "INSERT", "REPLACE":
		return d.insert(ctx)
	case "START", "BEGIN", "COMMIT", "ROLLBACK":
		return d.transaction(first)
	case "ALTER", "UPDATE", "DELETE", "TRUNCATE", "RENAME":
		return d.change(first)
	default:
		return d.skip()
	}
}

// transaction heeds where one begins and ends. phpMyAdmin makes a whole dump one, with no other mark at its end.
func (d *dump) transaction(first token) error {
	list, err := d.rest(1)
	switch {
	case !first.is("start"):
		d.pending = first.is("begin")
	case len(list) > 0 && list[0].is("transaction"):
		d.pending = true
	}
	return err
}

// skip reads on to the end of the statement.
func (d *dump) skip() error {
	d.lex.skipping = true
	defer func() { d.lex.skipping = false }()
	for {
		if t, err := d.lex.next(); err != nil || t.ends() {
			return err
		}
	}
}

// rest returns the tokens up to the end of the statement, the first few of them.
func (d *dump) rest(limit int) (list []token, err error) {
	for {
		t, err := d.lex.next()
		if err != nil || t.ends() {
			return list, err
		}
		if len(list) < limit {
			list = append(list, t)
		}
	}
}

// set heeds what changes how the dump must be read.
func (d *dump) set() error {
	list, err := d.rest(200)
	if err != nil || len(list) == 0 {
		return err
	}
	if list[0].is("names") && len(list) > 1 {
		d.charset = list[1].text
		return d.become(d.charset)
	}
	for _, a := range assignments(list) {
		switch a.variable {
		case "character_set_client":
			d.charset = a.value(d.kept, "utf8mb4")
			err = d.become(d.charset)
		case "sql_mode":
			d.mode = a.value(d.kept, "")
			modes := strings.Split(strings.ToUpper(d.mode), ",")
			d.lex.plainSlash = slices.Contains(modes, "NO_BACKSLASH_ESCAPES")
			d.lex.ansiQuotes = slices.Contains(modes, "ANSI_QUOTES") || slices.Contains(modes, "ANSI")
		default:
			d.keep(a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keep heeds a dump that puts a setting away, to return to it later: SET @was = @@sql_mode.
func (d *dump) keep(a assignment) {
	if !strings.HasPrefix(a.variable, "@") || len(d.kept) > 1000 {
		return
	}
	switch strings.ToLower(a.text) {
	case "@@character_set_client":
		d.kept[a.variable] = d.charset
	case "@@sql_mode":
		d.kept[a.variable] = d.mode
	}
}

func (d *dump) become(charset string) error {
	if strings.EqualFold(charset, "default") || strings.EqualFold(charset, "null") {
		charset = "utf8mb4"
	}
	return d.lex.in.become(charset)
}

// assignment is a part of a SET. A variable of the user's own has its @, in the text as well.
type assignment struct{ variable, text string }

func (a assignment) value(kept map[string]string, otherwise string) string {
	if !strings.HasPrefix(a.text, "@") {
		return a.text
	}
	if v, ok := kept[strings.ToLower(a.text)]; ok {
		return v
	}
	return otherwise
}

// assignments reads “a = 1, @@session.b = 2, @c = @@a”.
func assignments(list []token) (out []assignment) {
	for len(list) > 0 {
		part := list
		if end := slices.IndexFunc(list, func(t token) bool { return t.is(",") }); end >= 0 {
			part, list = list[:end], list[end+1:]
		} else {
			list = nil
		}
		eq := slices.IndexFunc(part, func(t token) bool { return t.is("=") })
		if eq < 1 || eq+1 >= len(part) {
			continue
		}
		var a assignment
		if a.variable = strings.ToLower(part[eq-1].text); eq == 2 && part[0].is("@") {
			a.variable = "@" + a.variable
		}
		for _, t := range part[eq+1:] {
			a.text += t.text
		}
		out = append(out, a)
	}
	return out
}

// wanted returns the table of the spool that a name of the dump means.
func (d *dump) wanted(n tableName) (table, bool) {
	if !slices.Contains(d.found, n.table) && len(d.found) < 20 {
		d.found = append(d.found, n.table)
	}
	i := slices.IndexFunc(d.into.tables, func(t table) bool { return strings.EqualFold(t.there(), n.table) })
	if i < 0 {
		return table{}, false
	}
	return d.into.tables[i], true
}

// tableName is a table's name and its database's.
type tableName struct{ database, table string }

func (n tableName) key() string { return n.database + "\x00" + strings.ToLower(n.table) }

// tableName reads a name, perhaps with its database before it, from its first token on, and returns the token behind it.
func (d *dump) tableName(t token) (tableName, token, error) {
	n := tableName{d.database, t.text}
	after, err := d.lex.next()
	if err != nil || !after.is(".") {
		return n, after, err
	}
	second, err := d.lex.next()
	if err != nil {
		return n, after, err
	}
	n = tableName{t.text, second.text}
	after, err = d.lex.next()
	return n, after, err
}

// after reads tokens as long as they are among these words and returns the first that is not.
func (d *dump) after(words ...string) (token, error) {
	for {
		t, err := d.lex.next()
		if err != nil || t.kind != word || !slices.ContainsFunc(words, t.is) {
			return t, err
		}
	}
}

// create learns the columns of a table.
func (d *dump) create(ctx context.Context) error {
	t, err := d.after("or", "replace", "temporary")
	if err != nil || t.ends() {
		return err
	}
	if !t.is("table") {
		return d.skip()
	}
	if t, err = d.after("if", "not", "exists"); err != nil || t.ends() {
		return err
	}
	n, after, err := d.tableName(t)
	if err != nil || after.ends() {
		return err
	}
	tab, ok := d.wanted(n)
	if !ok || !after.is("(") {
		return d.skip()
	}
	columns, err := d.columns()
	if err != nil {
		return err
	}
	return d.take(ctx, tab, n, columns)
}

// take makes a table of the dump the one that the spool's is read from, if it has the columns.
func (d *dump) take(ctx context.Context, tab table, n tableName, columns []string) error {
	at, missing := tab.find(columns)
	if len(missing) > 0 {
		d.layouts[n.key()] = nil
		d.why = errors.Join(d.why, unfit(tab, columns, missing))
		return nil
	}
	if db, ok := d.taken[tab.name]; ok && db != n.database {
		return fmt.Errorf("the databases %q and %q both have a table %s; make a dump of one of them", db, n.database, tab.there())
	}
	d.taken[tab.name] = n.database
	d.layouts[n.key()] = &layout{columns, at}
	return d.into.empty(ctx, tab)
}

// notColumns are the words that begin an entry of CREATE TABLE that is no column.
var notColumns = []string{"primary", "key", "unique", "index", "constraint", "fulltext", "spatial", "foreign", "check", "period", "like"}

// columns reads the names of the columns behind CREATE TABLE x (, and goes on to the end of the statement.
func (d *dump) columns() (list []string, err error) {
	begins := true
	for depth := 1; depth > 0; {
		t, err := d.lex.next()
		switch {
		case err != nil:
			return nil, err
		case t.ends():
			return nil, fmt.Errorf("%w: line %d: CREATE TABLE without its end", ErrDamaged, t.line)
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case begins && (t.kind == name || t.kind == word && !slices.ContainsFunc(notColumns, t.is)):
			if list = append(list, t.text); len(list) > 4096 {
				return nil, fmt.Errorf("%w: line %d: too many columns", ErrDamaged, t.line)
			}
		}
		begins = depth == 1 && t.is(",")
	}
	return list, d.skip()
}

// drop forgets a table, as a dump does before it makes it anew.
func (d *dump) drop(ctx context.Context) error {
	t, err := d.after("temporary")
	if err != nil || t.ends() {
		return err
	}
	if !t.is("table") {
		return d.skip()
	}
	if t, err = d.after("if", "exists"); err != nil || t.ends() {
		return err
	}
	n, after, err := d.tableName(t)
	if err != nil {
		return err
	}
	if tab, ok := d.wanted(n); ok && d.layouts[n.key()] != nil {
		delete(d.taken, tab.name)
		delete(d.layouts, n.key())
		if err := d.into.empty(ctx, tab); err != nil {
			return err
		}
	}
	if after.ends() {
		return nil
	}
	return d.skip()
}

// change refuses what a dump does not do: to change rows or columns after the fact.
func (d *dump) change(first token) error {
	t, err := d.after("table", "from", "ignore", "low_priority", "quick", "online")
	if err != nil || t.ends() {
		return err
	}
	if t.kind != word && t.kind != name {
		return d.skip()
	}
	n, after, err := d.tableName(t)
	if err != nil || after.ends() {
		return err
	}
	if _, ok := d.wanted(n); !ok {
		return d.skip()
	}
	list, err := d.rest(2000)
	if err != nil {
		return err
	}
	if first.is("alter") && !altersColumns(append([]token{after}, list...)) {
		return nil
	}
	return fmt.Errorf("line %d: the table %s is changed by %s; load the file into a MySQL server and give its address", first.line, n.table, strings.ToUpper(first.text))
}

// altersColumns reports whether ALTER TABLE changes which columns there are, rather than keys and options.
func altersColumns(list []token) bool {
	begins, depth := true, 0
	for i, t := range list {
		var next token
		if i+1 < len(list) {
			next = list[i+1]
		}
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case t.is("first"), t.is("after"), begins && (t.is("change") || t.is("rename")):
			return true
		case begins && (t.is("add") || t.is("drop")):
			if next.kind == name || next.kind == word && !slices.ContainsFunc(notColumns, next.is) {
				return true
			}
		}
		begins = depth == 0 && t.is(",")
	}
	return false
}

// insert takes the rows of a table in.
func (d *dump) insert(ctx context.Context) error {
	t, err := d.after("low_priority", "delayed", "high_priority", "ignore", "into")
	if err != nil || t.ends() {
		return err
	}
	n, after, err := d.tableName(t)
	if err != nil || after.ends() {
		return err
	}
	tab, ok := d.wanted(n)
	known := d.layouts[n.key()]
	if _, seen := d.layouts[n.key()]; !ok || seen && known == nil {
		return d.skip()
	}
	at := known
	if after.is("(") {
		if at, after, err = d.columnList(ctx, tab, n); err != nil {
			return err
		}
		if at == nil {
			return d.skip()
		}
	}
	switch {
	case at == nil:
		return fmt.Errorf("line %d: an INSERT INTO %s names no columns, and the dump does not say which the table has; make a dump with the tables' structure", t.line, n.table)
	case !after.is("values") && !after.is("value"):
		return fmt.Errorf("line %d: the dump fills the table %s with something other than values; load it into a MySQL server and give its address", t.line, n.table)
	}
	return d.rows(ctx, tab, at)
}

// columnList reads the names behind INSERT INTO x ( and the token behind them.
func (d *dump) columnList(ctx context.Context, tab table, n tableName) (*layout, token, error) {
	var columns []string
	for {
		t, err := d.lex.next()
		switch {
		case err != nil:
			return nil, t, err
		case t.ends():
			return nil, t, fmt.Errorf("%w: line %d: INSERT without values", ErrDamaged, t.line)
		case t.is(")"):
			if _, ok := d.layouts[n.key()]; !ok { // a dump of the data only
				if err := d.take(ctx, tab, n, columns); err != nil || d.layouts[n.key()] == nil {
					return nil, t, err
				}
			}
			at, missing := tab.find(columns)
			if len(missing) > 0 {
				return nil, t, unfit(tab, columns, missing)
			}
			after, err := d.lex.next()
			return &layout{columns, at}, after, err
		case t.kind == word, t.kind == name:
			columns = append(columns, t.text)
		}
	}
}

// rows reads (…), (…) … to the end of the statement.
func (d *dump) rows(ctx context.Context, tab table, l *layout) error {
	row := make([]any, 0, len(l.columns))
	values := make([]any, len(l.at))
	for {
		t, err := d.lex.next()
		if err != nil {
			return err
		}
		if !t.is("(") {
			return fmt.Errorf("%w: line %d: a row of %s was expected", ErrDamaged, t.line, tab.there())
		}
		if row, err = d.row(row[:0], len(l.columns)); err != nil {
			return err
		}
		if len(row) != len(l.columns) {
			return fmt.Errorf("%w: line %d: a row of %s has %d values for %d columns", ErrDamaged, t.line, tab.there(), len(row), len(l.columns))
		}
		for _, v := range pick(values, row, l.at) {
			if _, ok := v.(expression); ok {
				return fmt.Errorf("line %d: a row of %s has something to compute in it; load the dump into a MySQL server and give its address", t.line, tab.there())
			}
		}
		if err := d.into.add(ctx, tab, values); err != nil {
			return err
		}
		switch t, err = d.lex.next(); {
		case err != nil || t.ends():
			return err
		case t.is("on"): // DUPLICATE KEY UPDATE; there are none in a dump
			return d.skip()
		case !t.is(","):
			return fmt.Errorf("%w: line %d: %.20q between two rows of %s", ErrDamaged, t.line, t.text, tab.there())
		}
	}
}
