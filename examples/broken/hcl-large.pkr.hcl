locals {
  thousand = range(1000)
  matrix   = [for x in local.thousand : [for y in local.thousand : [x, y]]]
  line     = format("%1000000s", "|")
  page     = join("", [local.line, local.line, local.line, local.line, local.line, local.line, local.line])
  book     = "${local.page}${local.page}${local.page}${local.page}${local.page}${local.page}${local.page}${local.page}${local.page}${local.page}"
  all      = setproduct(local.thousand, local.thousand)
}
