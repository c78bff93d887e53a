source "file" "notes" {
  content = "built by packer"
  target  = "notes.txt"
}

/* The build is switched off until the new release is there.
build {
  sources = ["source.file.notes"]
}
