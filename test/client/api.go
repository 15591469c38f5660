package client

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/go-json-experiment/json"
)

// API is a client of the API, logged in once Token is set.
type API struct {
	URL    string // without a slash at its end
	Token  string
	Client *http.Client // nil for one of its own
}

// Ask makes a request below /api/v1 and returns the status and the answer's data, or its error. body may be nil.
func (a *API) Ask(method, path string, body any) (status int, data map[string]any, err error) {
	var b []byte
	if body != nil {
		if b, err = json.Marshal(body); err != nil {
			return 0, nil, err
		}
	}
	return a.ask(method, path, "application/json", b)
}

// Upload sends a file as a form.
func (a *API) Upload(path, name string, content []byte) (status int, data map[string]any, err error) {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile("avatar", name)
	if err == nil {
		_, err = part.Write(content)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return 0, nil, err
	}
	return a.ask(http.MethodPost, path, form.FormDataContentType(), b.Bytes())
}

func (a *API) ask(method, path, kind string, body []byte) (status int, data map[string]any, err error) {
	req, err := http.NewRequest(method, a.URL+"/api/v1"+path, bytes.NewReader(body)) //nolint:noctx // the client has a time-out
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", kind)
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.Token)
	}
	c := a.Client
	if c == nil {
		c = &http.Client{Timeout: timeout}
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	var e struct {
		Code  int            `json:"code"`
		Data  map[string]any `json:"data"`
		Error map[string]any `json:"error"`
	}
	if err := json.Unmarshal(b, &e); err != nil || e.Code != resp.StatusCode {
		return resp.StatusCode, nil, fmt.Errorf("%s %s is answered with no envelope: %s", method, path, b)
	}
	if e.Error != nil {
		return e.Code, e.Error, nil
	}
	return e.Code, e.Data, nil
}

// Enter registers or logs in, and keeps the token.
func (a *API) Enter(path, name, password string) (data map[string]any, err error) {
	status, data, err := a.Ask(http.MethodPost, path, map[string]any{"username": name, "password": password})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s as %s: %d %v", path, name, status, data)
	}
	if err == nil {
		a.Token, _ = data["token"].(string)
	}
	return data, err
}
