// Package oauth2 stands in for golang.org/x/oauth2, which is not fetched here: the part that the generated client uses.
package oauth2

import "net/http"

// Token is an access token.
type Token struct {
	AccessToken string
}

// SetAuthHeader adds the token to a request.
func (token *Token) SetAuthHeader(request *http.Request) {
	request.Header.Set("Authorization", "Bearer "+token.AccessToken)
}

// TokenSource returns a valid token for each request.
type TokenSource interface {
	Token() (*Token, error)
}
