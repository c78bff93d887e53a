locals {
  tags    = { team = "web", owner }
  sizes   = [10, 20 30]
  region  = var.prod ? "westeurope"
  owner   = var.
  total   = (1 + 2
  all     = local.sizes[*
  largest = max(local.sizes..., 5)
  debug   = var.prod & var.verbose
  huge    = 1e99999
  empty   =
  image   = upper("web" "debian")
  tick    = `web`
  share   = 20 ^ 2
}
