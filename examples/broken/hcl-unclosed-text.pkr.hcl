source "file" "notes" {
  content = "built by packer
  target  = "notes.txt"
}

build {
  sources = ["source.file.notes"]
}
