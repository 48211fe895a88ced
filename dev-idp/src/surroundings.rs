//! Whether this process runs in a container, and which networks belong to containers.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// What the machine shows of containers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Surroundings {
    /// This process runs in a container.
    pub in_container: bool,
    /// The networks of a container engine on this machine: address and mask.
    pub container_networks: Vec<(Ipv4Addr, Ipv4Addr)>,
}

impl Surroundings {
    /// Reads them from the files below `root`, which is `/` but in a test.
    pub fn read(root: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
        let marked = [".dockerenv", "run/.containerenv"]
            .iter()
            .any(|name| root.join(name).exists());
        Self {
            in_container: marked
                || text("proc/self/cgroup").lines().any(names_a_container)
                || text("proc/self/mountinfo")
                    .lines()
                    .any(is_laid_by_an_engine),
            container_networks: text("proc/net/route")
                .lines()
                .filter_map(network_of_an_engine)
                .collect(),
        }
    }

    /// Whether the address belongs to a network of a container engine.
    pub(crate) fn is_of_containers(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else {
            return false;
        };
        self.container_networks
            .iter()
            .any(|(network, mask)| address & *mask == *network)
    }
}

/// A line of `/proc/self/cgroup`.
fn names_a_container(line: &str) -> bool {
    let path = line.splitn(3, ':').nth(2).unwrap_or_default();
    path.split('/').any(|part| {
        matches!(part, "docker" | "lxc")
            || ["kubepods", "docker-", "libpod-", "crio-", "cri-containerd-"]
                .iter()
                .any(|start| part.starts_with(start))
    })
}

/// A line of `/proc/self/mountinfo`: an engine lays the root out of layers, and mounts the files
/// that differ from container to container.
fn is_laid_by_an_engine(line: &str) -> bool {
    let at = line.split(' ').nth(4).unwrap_or_default();
    let kind = line
        .split_once(" - ")
        .and_then(|(_, rest)| rest.split(' ').next());
    match at {
        "/" => kind.is_some_and(|kind| matches!(kind, "overlay" | "fuse.fuse-overlayfs")),
        "/etc/hosts" | "/etc/hostname" => true,
        _ => false,
    }
}

/// A line of `/proc/net/route`: a network that is attached to a bridge of an engine.
fn network_of_an_engine(line: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [interface, network, gateway, _, _, _, _, mask, ..] = fields.as_slice() else {
        return None;
    };
    let bridge = ["docker", "br-", "podman", "cni"]
        .iter()
        .any(|start| interface.starts_with(start));
    let mask = address(mask)?;
    (bridge && *gateway == "00000000" && !mask.is_unspecified())
        .then(|| Some((address(network)?, mask)))
        .flatten()
}

/// The kernel shows the four octets of an address as one number, in the order of the machine.
fn address(hexadecimal: &str) -> Option<Ipv4Addr> {
    let number = u32::from_str_radix(hexadecimal, 16).ok()?;
    Some(Ipv4Addr::from(number.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As seen on a host with an engine and a container under way.
    const HOST: &[(&str, &str)] = &[
        (
            "proc/self/cgroup",
            "0::/user.slice/user-1000.slice/session-2.scope\n",
        ),
        (
            "proc/self/mountinfo",
            "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
             98 22 0:45 / /var/lib/docker/overlay2/af/merged rw shared:9 - overlay overlay rw\n",
        ),
    ];

    const ROUTES: &str = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
         eth0 00000000 0100A8C0 0003 0 0 0 00000000 0 0 0\n\
         eth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n\
         docker0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0\n\
         docker0 0000630A 010011AC 0003 0 0 0 0000FFFF 0 0 0\n";

    fn machine(files: &[(&str, &str)]) -> Surroundings {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Surroundings::read(root.path())
    }

    #[test]
    fn a_host_is_no_container_even_with_an_engine_on_it() {
        assert!(!machine(&[]).in_container);
        assert!(!machine(HOST).in_container);
        let daemon = [("proc/self/cgroup", "0::/system.slice/docker.service\n")];
        assert!(!machine(&daemon).in_container);
    }

    #[test]
    fn each_mark_of_an_engine_makes_a_container() {
        for (name, text) in [
            (".dockerenv", ""),
            ("run/.containerenv", "engine=\"podman\"\n"),
            (
                "proc/self/cgroup",
                "12:pids:/docker/0f3c\n0::/docker/0f3c\n",
            ),
            ("proc/self/cgroup", "0::/system.slice/docker-0f3c.scope\n"),
            (
                "proc/self/cgroup",
                "0::/kubepods.slice/kubepods-pod1.slice\n",
            ),
            ("proc/self/cgroup", "0::/machine.slice/libpod-0f3c.scope\n"),
            (
                "proc/self/mountinfo",
                "22 1 0:45 / / ro - overlay overlay ro\n",
            ),
            (
                "proc/self/mountinfo",
                "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n\
                 30 22 254:1 /pods/1/etc-hosts /etc/hosts rw - ext4 /dev/vda1 rw\n",
            ),
        ] {
            assert!(machine(&[(name, text)]).in_container, "{name}: {text}");
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_network_of_an_engine_is_known_by_its_bridge() {
        let surroundings = machine(&[("proc/net/route", ROUTES)]);

        for (address, expected) in [
            ("172.17.0.1", true),
            ("172.17.255.9", true),
            ("172.18.0.1", false),
            ("192.168.0.7", false),
            ("10.99.0.1", false),
            ("0.0.0.0", false),
            ("fd00::1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(
                surroundings.is_of_containers(address),
                expected,
                "{address}"
            );
        }
    }
}
