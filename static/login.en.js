// The texts of the login page.

export const TEXTS = {
  "login.title": "Who is there?",
  "login.more": "This Lookout asks for a token. On the machine it runs on, this prints one, and a code to scan:",
  "login.first": "Nobody has made a token for this Lookout yet. On the machine it runs on, this makes one:",
  "login.cookie": "The token is right, but this browser keeps no login: it refuses this page's cookie.",
  "login.framed": "The token is right, but browsers keep no login for a page inside another site's, except over HTTPS and if server.allowed_frames lists that site. Open this page by itself, or set those.",
  "login.token": "Token",
  "login.show": "Show",
  "login.hide": "Hide",
  "login.go": "Come in",
  "login.busy": "One moment…",
  "login.wrong": "That token is not known here. Tokens are long; copy the whole of it.",
};
