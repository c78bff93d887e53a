source "file" "page" {
  target  = "index.html"
  content = templatefile("page.html.tpl", { title = "Golden images" })
}

source "file" "footer" {
  target  = "footer.html"
  content = templatefile("footer.html.tpl", { year = 2024 })
}

build {
  sources = ["source.file.page", "source.file.footer"]
}
