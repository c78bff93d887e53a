source "file" "motd {
  content = "hello"
  target  = "motd"
}

source "file" "notes" {
  content = "hello"
  target  = "notes.txt"
}

build {
  sources = ["source.file.notes"]
}
