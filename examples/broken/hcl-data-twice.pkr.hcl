data "null" "owner" {
  input = "team web"
}

data "null" "owner" {
  input = "team db"
}

source "file" "web" {
  target  = "web.txt"
  content = data.null.owner.output
}

build {
  sources = ["source.file.web"]
}
