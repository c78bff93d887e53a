data "http" "releases" {
  url = "https://releases.example.org/latest"
}

source "file" "web" {
  target  = "web.txt"
  content = data.http.releases.body
}

build {
  sources = ["source.file.web"]
}
