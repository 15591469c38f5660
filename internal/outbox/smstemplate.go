package outbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// smsTemplate is how a message becomes a request.
type smsTemplate struct {
	server string // scheme and host
	url    string // without the options, and without the query if that is posted
	codes  bool   // it has a place for a code
	body   func(Message) ([]byte, error)
	mime   string
	header http.Header
	ok     *regexp.Regexp // nil: every answer will do
}

// synonyms are what gateways call the placeholders in their own manuals.
var synonyms = strings.NewReplacer(
	"{phone}", "{to}", "{mobile}", "{to}", "{number}", "{to}", "{message}", "{text}", "{content}", "{text}",
)

func parseSMS(rawURL string) (t smsTemplate, err error) {
	address, options, _ := strings.Cut(synonyms.Replace(rawURL), "#")
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Opaque != "":
		return t, errors.New("not a URL; special characters in the password need percent-encoding")
	case u.Scheme != "http" && u.Scheme != "https":
		return t, errors.New("the URL must begin with http:// or https://")
	case u.Hostname() == "":
		return t, errors.New("the URL has no host")
	}
	t = smsTemplate{server: u.Scheme + "://" + u.Host, url: address, header: http.Header{}}
	posted := ""
	for option := range strings.SplitSeq(options, "&") {
		if option == "" {
			continue
		}
		if err := t.option(u, option, &posted); err != nil {
			return t, err
		}
	}
	t.codes = strings.Contains(t.url+posted, "{code}")
	if err := checkPlaceholders(t.url + posted); err != nil {
		return t, err
	}
	_, err = t.request(context.Background(), CodeSMS("10000", "0000")) // a text that JSON cannot hold shows only here
	return t, err
}

// option reads one option. posted gets what is sent as a body, for its placeholders to be checked.
func (t *smsTemplate) option(u *url.URL, option string, posted *string) error {
	name, escaped, _ := strings.Cut(option, "=")
	value, err := url.PathUnescape(escaped)
	if err != nil {
		return errors.New("the options after # are not well formed: % must be %25")
	}
	switch name {
	case "post":
		if t.body != nil {
			return errors.New("post is given twice")
		}
		*posted, err = t.post(u, value)
		return err
	case "header":
		return t.addHeader(value)
	case "ok":
		if t.ok != nil {
			return errors.New("ok is given twice")
		}
		if t.ok, err = regexp.Compile(value); err != nil || value == "" {
			return errors.New("ok must be a regular expression")
		}
		return nil
	}
	return errors.New("the options after # are post, header and ok; special characters in the password need percent-encoding")
}

// post reads the value of the option and returns the text of the body, placeholders and all.
func (t *smsTemplate) post(u *url.URL, value string) (string, error) {
	t.mime = "application/json"
	switch {
	case value == "form":
		t.mime = "application/x-www-form-urlencoded"
	case value == "json":
	case jsontext.Value(value).IsValid():
		t.body = func(m Message) ([]byte, error) { return fillJSON(value, m) }
		return jsonStrings(value)
	default:
		return "", errors.New("post must be form, json or a JSON text")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", errors.New("the query of the URL is not well formed")
	}
	t.url, _, _ = strings.Cut(t.url, "?")
	var all strings.Builder
	for _, values := range query {
		if value == "json" && len(values) > 1 {
			return "", errors.New("a name stands twice in the query, which JSON does not have")
		}
		all.WriteString(strings.Join(values, ""))
	}
	if value == "form" {
		t.body = func(m Message) ([]byte, error) { return []byte(filled(query, m).Encode()), nil }
		return all.String(), nil
	}
	t.body = func(m Message) ([]byte, error) {
		object := map[string]string{}
		for name, values := range filled(query, m) {
			object[name] = values[0]
		}
		return json.Marshal(object, json.Deterministic(true))
	}
	return all.String(), nil
}

var (
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	headerValue = regexp.MustCompile(`^[^\x00-\x1f\x7f]*$`)
)

func (t *smsTemplate) addHeader(line string) error {
	name, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if !ok || !headerName.MatchString(name) || !headerValue.MatchString(value) {
		return errors.New("header must be Name:Value")
	}
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer":
		return errors.New("header cannot be one that the connection is made of")
	}
	t.header.Add(name, value)
	return nil
}

// checkPlaceholders refuses a template that would lose the message, or that has a slip of the pen in it.
func checkPlaceholders(template string) error {
	found := map[string]bool{}
	for _, p := range placeholder.FindAllString(template, -1) {
		found[p] = true
	}
	to, content := found["{to}"], found["{text}"] || found["{code}"]
	delete(found, "{to}")
	delete(found, "{text}")
	delete(found, "{code}")
	switch {
	case len(found) > 0:
		return errors.New("the placeholders are {to}, {text} and {code}; another brace needs percent-encoding")
	case !to || !content:
		return errors.New("the URL must have {to} and one of {text} and {code}")
	}
	return nil
}

func (t *smsTemplate) request(ctx context.Context, m Message) (*http.Request, error) {
	if t.codes && m.Code == "" {
		return nil, errors.New("the URL asks for a code, and the message has none")
	}
	var body []byte
	method := http.MethodGet
	if t.body != nil {
		var err error
		if body, err = t.body(m); err != nil {
			return nil, errors.New("the query cannot be sent as JSON")
		}
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, ascii(fill(t.url, m, percent)), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL cannot be filled in")
	}
	req.Header = t.header.Clone()
	if t.body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", t.mime)
	}
	return req, nil
}

// ascii escapes what an operator may have written into the URL as it is.
func ascii(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c <= '~' {
			b.WriteByte(c)
		} else {
			b.WriteString(percent(s[i : i+1]))
		}
	}
	return b.String()
}

func filled(query url.Values, m Message) url.Values {
	out := url.Values{}
	for name, values := range query {
		for _, v := range values {
			out.Add(name, fill(v, m, asIs))
		}
	}
	return out
}

// fillJSON puts a message into the strings of a JSON text.
func fillJSON(template string, m Message) ([]byte, error) {
	var b bytes.Buffer
	in, out := jsontext.NewDecoder(strings.NewReader(template)), jsontext.NewEncoder(&b)
	err := eachToken(in, func(token jsontext.Token) error {
		if token.Kind() == '"' {
			token = jsontext.String(fill(token.String(), m, asIs))
		}
		return out.WriteToken(token)
	})
	return bytes.TrimSpace(b.Bytes()), err
}

// jsonStrings returns the strings of a JSON text, one after the other.
func jsonStrings(text string) (string, error) {
	var b strings.Builder
	err := eachToken(jsontext.NewDecoder(strings.NewReader(text)), func(token jsontext.Token) error {
		if token.Kind() == '"' {
			b.WriteString(token.String())
		}
		return nil
	})
	if err != nil {
		return "", errors.New("post must be form, json or a JSON text")
	}
	return b.String(), nil
}

func eachToken(in *jsontext.Decoder, fn func(jsontext.Token) error) error {
	for {
		token, err := in.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := fn(token); err != nil {
			return err
		}
	}
}
