source "file" "web" {
  target  = "web.txt"
  content = "web"
}

source "file" "web" {
  target  = "web2.txt"
  content = "web"
}

build {
  sources = ["source.file.wbe", "file-web", "source.file.web"]

  source "source.file.web" {
    name   = "copy"
    target = "copy.txt"
  }
  source {
    name = "none"
  }
}

build {
  sources = ["file.web"]
}

build {
  name = "empty"
}
