variable "sizes" {
  type    = map(number)
  default = { small = 10, large = 100 }
}

locals {
  names    = ["web", "db"]
  nothing  = null
  title    = "machines: ${local.names}"
  owner    = "owner: ${local.nothing}"
  double   = "ten" * 2
  inverse  = !"sometimes"
  next     = local.nothing + 1
  choice   = true ? ["web"] : { name = "web" }
  third    = local.names[2]
  half     = local.names[0.5]
  size     = var.sizes["medium"]
  first    = local.names.first
  letter   = local.title[0]
  deep     = local.nothing.name
  letters  = [for c in "web" : c]
  keyed    = { (local.names) = "x" }
  by_size  = { for name in ["web", "web"] : name => upper(name) }
}
