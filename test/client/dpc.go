package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/wire/padded"
)

// The answers of the file port that are errors.
var (
	ErrDPCRefused = errors.New("dpc: refused")
	ErrDPCMissing = errors.New("dpc: there is no such file")
)

// maxDPC bounds the answers that are read; a list can be long.
const maxDPC = 64 << 20

// DPC is a user of the DPC servers, by their three addresses.
type DPC struct {
	Auth, Chat, Files string
	Name, Password    string
}

// DPCFile is a file in a transfer. Folder is "" for a single one.
type DPCFile struct {
	Folder, Name string
	Size         int64
}

// DPCEntry is a line of the list: name, owner, time, kind.
type DPCEntry [4]string

// DPCConn is a connection to one of the ports.
type DPCConn struct {
	Conn net.Conn
	in   *bufio.Reader
}

// DialDPC opens a connection to a port.
func DialDPC(addr string) (*DPCConn, error) {
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, err
	}
	return &DPCConn{Conn: conn, in: bufio.NewReader(conn)}, nil
}

// Send sends one message.
func (c *DPCConn) Send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.write(padded.Append(nil, b))
}

func (c *DPCConn) write(b []byte) error {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err := c.Conn.Write(b)
	return err
}

// Receive returns the next message. The end of the stream is io.EOF.
func (c *DPCConn) Receive() (jsontext.Value, error) {
	if err := c.Conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	return padded.Read(c.in, maxDPC)
}

// Probe asks for something that does not exist, and expects the refusal next: when it returns, the server has decided what this
// connection hears, and has answered all that was asked before.
func (c *DPCConn) Probe() error {
	if err := c.Send(object{"op": 9}); err != nil {
		return err
	}
	b, err := c.Receive()
	if err == nil && string(b) != `{"op":9,"test":1}` {
		err = fmt.Errorf("dpc: instead of a refusal comes %s", b)
	}
	return err
}

// Rest reads what follows the messages.
func (c *DPCConn) Rest() io.Reader { return c.in }

// Close closes the connection.
func (c *DPCConn) Close() error { return c.Conn.Close() }

type object = map[string]any

// ask sends one request to the auth port and returns the result.
func (d DPC) ask(op int, args object) (test int, err error) {
	c, err := DialDPC(d.Auth)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.Send(object{"op": op, "args": args}); err != nil {
		return 0, err
	}
	b, err := c.Receive()
	if err != nil {
		return 0, err
	}
	answer := struct {
		Op   int `json:"op"`
		Test int `json:"test"`
	}{-1, -1}
	if err := json.Unmarshal(b, &answer); err != nil {
		return 0, err
	}
	if answer.Op != op || answer.Test < 0 {
		return 0, fmt.Errorf("dpc: op %d is answered by %s", op, b)
	}
	return answer.Test, nil
}

// Login logs in at the auth port. 0 is success.
func (d DPC) Login() (test int, err error) {
	return d.ask(0, object{"user_name": d.Name, "user_pwd": d.Password})
}

// SendCode has a code sent to a phone.
func (d DPC) SendCode(phone string) (test int, err error) {
	return d.ask(1, object{"user_phone": phone})
}

// Register makes the user's account.
func (d DPC) Register(phone, code, email string) (test int, err error) {
	return d.ask(2, object{
		"user_name": d.Name, "user_pwd": d.Password, "user_phone": phone, "user_vcode": code, "user_email": email,
	})
}

func (d DPC) args() object { return object{"name": d.Name, "password": d.Password} }

// Connect opens a chat connection and says nothing. Call Login before, if the server asks for that.
func (d DPC) Connect() (*DPCConn, error) { return DialDPC(d.Chat) }

// Say says something on a chat connection. A refusal arrives as a message.
func (d DPC) Say(c *DPCConn, news string) error {
	return c.Send(object{"op": 0, "args": d.args(), "news": news})
}

// Hear returns the next thing that somebody says on a chat connection, as "name:text", or ErrDPCRefused.
func (c *DPCConn) Hear() (name, news string, err error) {
	b, err := c.Receive()
	if err != nil {
		return "", "", err
	}
	var in struct {
		Test int `json:"test"`
		Args struct {
			Name string `json:"name"`
		} `json:"args"`
		News string `json:"news"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return "", "", err
	}
	if in.Test != 0 {
		return "", "", ErrDPCRefused
	}
	return in.Args.Name, in.News, nil
}

// Upload sends files on one connection: a single one, or all of a folder. open returns the content of each; it is closed. Success is that the
// server closes the connection and says nothing.
func (d DPC) Upload(files []DPCFile, open func(DPCFile) (io.ReadCloser, error)) error {
	c, err := DialDPC(d.Files)
	if err != nil {
		return err
	}
	defer c.Close()
	var sent error
	for i := 0; i < len(files) && sent == nil; i++ {
		sent = c.upload(d, files[i], open)
	}
	if half, ok := c.Conn.(*net.TCPConn); ok && sent == nil {
		sent = half.CloseWrite()
	}
	switch b, err := c.Receive(); {
	case err == nil && string(b) == `{"op":0,"test":1}`: // may come before all was sent
		return ErrDPCRefused
	case err == nil:
		return fmt.Errorf("dpc: an upload is answered by %s", b)
	case sent == nil && err == io.EOF: //nolint:errorlint // an orderly end
		return nil
	default:
		return errors.Join(sent, err)
	}
}

func (c *DPCConn) upload(d DPC, f DPCFile, open func(DPCFile) (io.ReadCloser, error)) error {
	request := object{"op": 0, "args": d.args(), "file_name": f.Name, "file_type": 0, "file_size": strconv.FormatInt(f.Size, 10)}
	if f.Folder != "" {
		request["file_type"], request["file_dirname"] = 1, f.Folder
	}
	content, err := open(f)
	if err != nil {
		return err
	}
	defer content.Close()
	if err := c.Send(request); err != nil {
		return err
	}
	if err := c.Conn.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	_, err = io.Copy(c.Conn, content)
	return err
}

// List returns what can be downloaded.
func (d DPC) List() (entries []DPCEntry, err error) {
	c, err := DialDPC(d.Files)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.Send(object{"op": 1, "args": d.args(), "look": 0}); err != nil {
		return nil, err
	}
	b, err := c.Receive()
	if err != nil {
		return nil, err
	}
	var answer struct {
		Files jsontext.Value `json:"exist_file"`
	}
	switch err := json.Unmarshal(b, &answer); {
	case err != nil:
		return nil, err
	case answer.Files == nil:
		return nil, ErrDPCRefused
	case string(answer.Files) == "0":
		return nil, nil
	}
	return entries, json.Unmarshal(answer.Files, &entries)
}

// Download fetches a file, or all files of a folder. save gets each with its content, and must read all of it.
func (d DPC) Download(name string, save func(DPCFile, io.Reader) error) error {
	c, err := DialDPC(d.Files)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Send(object{"op": 1, "args": d.args(), "look": 1, "file_name": name}); err != nil {
		return err
	}
	for {
		b, err := c.Receive()
		if err == io.EOF { //nolint:errorlint // an orderly end
			return nil
		}
		if err != nil {
			return err
		}
		f, err := parseDPCFile(b)
		if err != nil {
			return err
		}
		if err := c.Conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		content := &io.LimitedReader{R: c.in, N: f.Size}
		if err := save(f, content); err != nil {
			return err
		}
		if content.N > 0 {
			return fmt.Errorf("dpc: %s: %w", f.Name, io.ErrUnexpectedEOF)
		}
	}
}

func parseDPCFile(b []byte) (f DPCFile, err error) {
	var in struct {
		Test   int            `json:"test"`
		Name   jsontext.Value `json:"file_name"`
		Type   int            `json:"file_type"`
		Size   string         `json:"file_size"`
		Folder string         `json:"file_dirname"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return f, err
	}
	switch {
	case in.Test != 0:
		return f, ErrDPCRefused
	case string(in.Name) == "400":
		return f, ErrDPCMissing
	case (in.Type == 1) != (in.Folder != ""):
		return f, fmt.Errorf("dpc: a download is answered by %s", b)
	}
	f.Folder = in.Folder
	if f.Size, err = strconv.ParseInt(in.Size, 10, 64); err != nil {
		return f, err
	}
	return f, json.Unmarshal(in.Name, &f.Name)
}
