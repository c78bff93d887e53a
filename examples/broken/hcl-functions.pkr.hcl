locals {
  joined  = join(["a", "b"], ",")
  short   = substr("packer")
  long    = upper("a", "b")
  decoded = jsondecode("{name: web}")
  number  = convert("ten", number)
  odd     = convert("ten")
  spread  = max("5"...)
  text    = file("no-such-file.txt")
  page    = templatefile("no-such-page.tpl", { name = "web" })
  wrong   = templatefile("page.tpl", "web")
}
