data "http" "releases" {
  uri    = "https://example.org/releases.json"
  method = "FETCH"
}

data "http" "notes" {
  url             = ["https://example.org/notes.txt"]
  request_headers = "Accept: text/plain"
  timeout         = "5s"
}

data "http" "page" {
  method = "GET"
}

data "htpp" "page" {
  url = "https://example.org/"
}
