locals {
  folder  = "C:\packer\images"
  name    = "Caf\u00g9"
  price   = "100%{5} off"
  greeting = "%{ if true }hello"
  footer  = "bye%{ endif }"
  list    = "%{ for name in local.names }${name}"
}
