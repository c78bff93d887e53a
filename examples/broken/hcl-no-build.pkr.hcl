source "file" "web" {
  target  = "web.txt"
  content = "web"
}
