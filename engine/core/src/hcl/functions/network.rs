//! Functions of IP networks in CIDR notation, of both versions.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Fault, Function, Host, Outcome, Param, at, function, gives, int, number, param, string, text};
use crate::hcl::Val;
use crate::hcl::types::Type;

const PREFIX: &[Param] = &[param("prefix", string)];

pub(super) const TABLE: &[Function] = &[
    function(
        "cidrhost",
        "The address of a host in a network by its number; negative numbers count from the end.",
        &[param("prefix", string), param("hostnum", number)],
        gives::string,
        cidrhost,
    ),
    function("cidrnetmask", "The netmask of a network.", PREFIX, gives::string, cidrnetmask),
    function(
        "cidrsubnet",
        "A part of a network: with so many more bits, and this number in them.",
        &[param("prefix", string), param("newbits", number), param("netnum", number)],
        gives::string,
        cidrsubnet,
    ),
    function(
        "cidrsubnets",
        "Parts of a network one after the other, each with so many more bits.",
        PREFIX,
        gives::strings,
        cidrsubnets,
    )
    .rest(param("newbits", number)),
];

/// A network. Addresses of both versions are numbers of `width` bits.
struct Network {
    address: u128,
    /// Bits of the prefix.
    length: u32,
    /// 32 or 128.
    width: u32,
}

impl Network {
    fn of(args: &[Val]) -> Result<Self, Fault> {
        let source = text(args, 0);
        let wrong = || {
            at(
                0,
                format!(
                    "invalid CIDR expression: {source:?} is not an address, a slash and a number of bits"
                ),
            )
        };
        let (address, length) = source.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (address, width) = match address {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
            IpAddr::V6(v6) => (v6.to_bits(), 128),
        };
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let length = length.parse::<u32>().ok().filter(|l| *l <= width).ok_or_else(wrong)?;
        let network = Self { address, length, width };
        Ok(Self { address: address & !low(network.host_bits()), ..network })
    }

    fn host_bits(&self) -> u32 {
        self.width - self.length
    }

    fn last(&self) -> u128 {
        self.address | low(self.host_bits())
    }

    fn print(&self, address: u128) -> String {
        if self.width == 32 {
            Ipv4Addr::from_bits(address as u32).to_string()
        } else {
            let v6 = Ipv6Addr::from_bits(address);
            v6.to_ipv4_mapped().map_or_else(|| v6.to_string(), |v4| v4.to_string())
        }
    }

    /// More bits in the prefix.
    fn longer(&self, index: usize, bits: i64) -> Result<u32, Fault> {
        let bits = u32::try_from(bits).map_err(|_| at(index, "must extend prefix by at least one bit"))?;
        if bits > 32 {
            return Err(at(index, "may not extend prefix by more than 32 bits"));
        }
        let length = self.length + bits;
        if length > self.width {
            let version = if self.width == 32 { "IPv4" } else { "IPv6" };
            return Err(at(
                index,
                format!(
                    "would extend prefix to {length} bits, which is too long for an {version} address; the prefix \
                     has {} bits already",
                    self.length
                ),
            ));
        }
        Ok(length)
    }
}

/// So many ones.
fn low(bits: u32) -> u128 {
    if bits == 0 { 0 } else { u128::MAX >> (128 - bits) }
}

fn cidrhost(args: &[Val], _: &dyn Host) -> Outcome {
    let network = Network::of(args)?;
    let wanted = int(args, 1)?;
    let most = low(network.host_bits());
    let beyond =
        || at(1, format!("prefix of {} does not accommodate a host numbered {wanted}", network.length));
    let distance = u128::from(if wanted < 0 { wanted.unsigned_abs() - 1 } else { wanted.unsigned_abs() });
    if distance > most {
        return Err(beyond());
    }
    let host = if wanted < 0 { most - distance } else { distance };
    Ok(Val::string(network.print(network.address | host)))
}

fn cidrnetmask(args: &[Val], _: &dyn Host) -> Outcome {
    let network = Network::of(args)?;
    Ok(Val::string(network.print(low(network.width) & !low(network.host_bits()))))
}

fn cidrsubnet(args: &[Val], _: &dyn Host) -> Outcome {
    let network = Network::of(args)?;
    let length = network.longer(1, int(args, 1)?)?;
    let wanted = int(args, 2)?;
    let most = low(length - network.length);
    let part = u128::try_from(wanted).ok().filter(|n| *n <= most).ok_or_else(|| {
        let bits = length - network.length;
        at(2, format!("prefix extension of {bits} does not accommodate a subnet numbered {wanted}"))
    })?;
    // Without host bits in a shift of the whole width there is nothing to shift.
    let address = network.address | part.checked_shl(network.width - length).unwrap_or(0);
    Ok(Val::string(format!("{}/{length}", network.print(address))))
}

fn cidrsubnets(args: &[Val], _: &dyn Host) -> Outcome {
    let network = Network::of(args)?;
    let mut parts = Vec::new();
    // Where the next part may start; none once the addresses are used up.
    let mut free = Some(network.address);
    for index in 1..args.len() {
        let bits = int(args, index)?;
        if bits < 1 {
            return Err(at(index, "must extend prefix by at least one bit"));
        }
        let length = network.longer(index, bits)?;
        let size = low(network.width - length);
        let start = free.and_then(|f| f.checked_add(size)).map(|f| f & !size);
        let start = start.filter(|s| *s <= network.last()).ok_or_else(|| {
            at(
                index,
                format!("not enough remaining address space for a subnet with a prefix of {length} bits"),
            )
        })?;
        parts.push(Val::string(format!("{}/{length}", network.print(start))));
        free = start.checked_add(size).and_then(|end| end.checked_add(1));
    }
    Ok(Val::list(Type::String, parts))
}
