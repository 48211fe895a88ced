//! Who may read and change a file or a directory of ours.

use std::io;

/// The permission bits and the group that a file is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Access {
    /// Permission bits.
    pub mode: u32,
    /// The group that the file is given; none leaves the one that the file system gives it.
    pub group: Option<u32>,
}

/// Readable and writable by the owner alone.
pub const PRIVATE: Access = Access {
    mode: 0o600,
    group: None,
};

/// Readable by everybody.
pub const PUBLIC: Access = Access {
    mode: 0o644,
    group: None,
};

impl Access {
    /// That of a private key, which this group may read if there is one.
    pub fn of_key(group: Option<u32>) -> Self {
        group.map_or(PRIVATE, |group| Self {
            mode: 0o640,
            group: Some(group),
        })
    }
}

/// What an open file or directory says about itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attributes {
    /// The user it belongs to.
    pub owner: u32,
    /// The group it belongs to.
    pub group: u32,
    /// Permission bits, those for set-user-ID, set-group-ID and sticky included.
    pub mode: u32,
    /// How many names it has.
    pub links: u64,
}

/// The user of this process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Its number.
    pub id: u32,
    /// The groups it is a member of.
    pub groups: Vec<u32>,
}

/// Something that is open, and whose attributes can be looked at and changed.
pub trait Opened {
    /// What it says about itself now.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn attributes(&self) -> io::Result<Attributes>;

    /// Gives it these permission bits.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn set_mode(&self, mode: u32) -> io::Result<()>;

    /// Gives it to this group.
    ///
    /// # Errors
    ///
    /// Any I/O error.
    fn set_group(&self, group: u32) -> io::Result<()>;
}

/// What is not as it was promised, and could not be mended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// It belongs to another user, who can change it.
    Foreign {
        /// That user.
        owner: u32,
    },
    /// It has other names, by which it can be reached too.
    Linked {
        /// How many names it has.
        links: u64,
    },
    /// It has other permission bits or another group than it should have.
    Open {
        /// What it says about itself.
        found: Attributes,
        /// The permission bits it should have.
        mode: u32,
        /// The group it should belong to.
        group: Option<u32>,
    },
}

/// What came of a look at something of ours.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Secured {
    /// The permission bits that were changed, before and after.
    pub changed: Option<(u32, u32)>,
    /// What could not be mended.
    pub findings: Vec<Finding>,
}

/// Whether this process can give what it owns, such as this directory, to `group`: as a member, or
/// as root, which containers can leave without that right (`CAP_CHOWN`).
///
/// # Errors
///
/// Any I/O error of the look itself.
pub fn can_give(directory: &dyn Opened, group: u32, user: &User) -> io::Result<bool> {
    if user.groups.contains(&group) {
        return Ok(true);
    }
    if user.id != 0 {
        return Ok(false);
    }
    let ours = directory.attributes()?.owner == user.id;
    let refused = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    Ok(!ours || !directory.set_group(group).is_err_and(refused))
}

/// Write permission for the group and for others.
const WRITABLE: u32 = 0o022;

/// With it, only the owner of an entry can rename or remove it.
const STICKY: u32 = 0o1000;

/// Gives a file of ours the access that it was created with, and says what is still different.
///
/// # Errors
///
/// Any I/O error of the look itself. That something cannot be changed is a [`Finding`].
pub fn secure_file(file: &dyn Opened, access: Access, user: &User) -> io::Result<Secured> {
    let found = file.attributes()?;
    let mut secured = Secured::default();
    if found.links > 1 {
        let links = found.links;
        secured.findings.push(Finding::Linked { links });
    }
    // A file of root is one that was mounted; root can change any other as well.
    if found.owner != user.id && found.owner != 0 {
        let owner = found.owner;
        secured.findings.push(Finding::Foreign { owner });
    }
    if found.owner == user.id {
        // The bits for a group are set once the file belongs to that group, and not before.
        let moved = access.group.filter(|group| *group != found.group);
        let moved = moved.is_none_or(|group| file.set_group(group).is_ok());
        let mode = if moved {
            access.mode
        } else {
            access.mode & !0o077
        };
        if found.mode != mode && file.set_mode(mode).is_ok() {
            secured.changed = Some((found.mode, mode));
        }
    }
    let now = file.attributes()?;
    let readable = access.group.is_none_or(|group| group == now.group);
    let narrower = now.mode & !access.mode == 0;
    let lacks = access.group.is_some() && now.mode & 0o040 == 0;
    if !readable || !narrower || lacks {
        secured.findings.push(Finding::Open {
            found: now,
            mode: access.mode,
            group: access.group,
        });
    }
    Ok(secured)
}

/// Takes the permission to write from all but the owner of a directory of ours, gives it to
/// `group`, which may then list it, and says what is still different.
///
/// Permission to read stays: an application may read other files there.
///
/// # Errors
///
/// As [`secure_file`].
pub fn secure_directory(
    directory: &dyn Opened,
    group: Option<u32>,
    user: &User,
) -> io::Result<Secured> {
    let found = directory.attributes()?;
    let mut secured = Secured::default();
    let closed = |mode: u32| {
        let taken = if mode & STICKY == 0 { WRITABLE } else { 0 };
        let given = if group.is_some() { 0o050 } else { 0 };
        mode & !taken | given
    };
    if found.owner == user.id {
        let moved = group.filter(|group| *group != found.group);
        let moved = moved.is_none_or(|group| directory.set_group(group).is_ok());
        let mode = closed(found.mode);
        if mode != found.mode && moved && directory.set_mode(mode).is_ok() {
            secured.changed = Some((found.mode, mode));
        }
    }
    let now = directory.attributes()?;
    // A volume that is given to a group of ours, and not to us, is written as a member of it.
    let ours = now.owner != user.id && user.groups.contains(&now.group);
    let mut expected = closed(now.mode);
    if ours {
        expected |= now.mode & 0o020;
    }
    if now.mode != expected || group.is_some_and(|group| group != now.group) {
        secured.findings.push(Finding::Open {
            found: now,
            mode: expected,
            group,
        });
    }
    Ok(secured)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A file whose owner is `owner`, as the system treats it.
    struct Fake {
        attributes: Cell<Attributes>,
        user: u32,
        groups: Vec<u32>,
        read_only: bool,
    }

    impl Opened for Fake {
        fn attributes(&self) -> io::Result<Attributes> {
            Ok(self.attributes.get())
        }

        fn set_mode(&self, mode: u32) -> io::Result<()> {
            self.change(|attributes| attributes.mode = mode)
        }

        fn set_group(&self, group: u32) -> io::Result<()> {
            if !self.groups.contains(&group) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            self.change(|attributes| attributes.group = group)
        }
    }

    impl Fake {
        fn change(&self, change: impl FnOnce(&mut Attributes)) -> io::Result<()> {
            if self.read_only {
                return Err(io::ErrorKind::ReadOnlyFilesystem.into());
            }
            let mut attributes = self.attributes.get();
            if attributes.owner != self.user {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            change(&mut attributes);
            self.attributes.set(attributes);
            Ok(())
        }
    }

    #[test]
    fn root_without_the_right_to_give_files_away_gives_them_to_its_own_groups_only() {
        let directory = |groups: &[u32], read_only| Fake {
            attributes: Cell::new(Attributes {
                owner: 0,
                group: 0,
                mode: 0o700,
                links: 2,
            }),
            user: 0,
            groups: groups.to_vec(),
            read_only,
        };
        let root = User {
            id: 0,
            groups: vec![0, 2_000],
        };
        let can = |fake: &Fake, group| can_give(fake, group, &root).unwrap();

        assert!(can(&directory(&[0, 2_000], false), 2_000));
        assert!(!can(&directory(&[0, 2_000], false), 3_000));
        // With that right the system lets it.
        assert!(can(&directory(&[3_000], false), 3_000));
        // A volume that is mounted read-only says nothing about the right.
        assert!(can(&directory(&[3_000], true), 3_000));
        assert!(!can_give(&directory(&[3_000], false), 3_000, &me()).unwrap());
    }

    const ME: u32 = 65_532;

    fn me() -> User {
        User {
            id: ME,
            groups: vec![ME, 2_000],
        }
    }

    fn fake(owner: u32, group: u32, mode: u32) -> Fake {
        Fake {
            attributes: Cell::new(Attributes {
                owner,
                group,
                mode,
                links: 1,
            }),
            user: ME,
            groups: me().groups,
            read_only: false,
        }
    }

    #[test]
    fn a_file_of_ours_is_tightened_whatever_gave_it_away() {
        for mode in [0o644, 0o660, 0o604, 0o777, 0o4600] {
            let file = fake(ME, 2_000, mode);

            let secured = secure_file(&file, PRIVATE, &me()).unwrap();

            assert_eq!(secured.changed, Some((mode, 0o600)), "{mode:o}");
            assert_eq!(secured.findings, [], "{mode:o}");
            assert_eq!(file.attributes.get().mode, 0o600);
        }
        let secured = secure_file(&fake(ME, ME, 0o600), PRIVATE, &me()).unwrap();
        assert_eq!(secured, Secured::default());
    }

    #[test]
    fn what_may_not_be_changed_is_said_and_can_be_read_all_the_same() {
        let restored = fake(0, 2_000, 0o660);
        let read_only = Fake {
            read_only: true,
            ..fake(ME, ME, 0o644)
        };

        for file in [&restored, &read_only] {
            let found = file.attributes.get();
            let secured = secure_file(file, PRIVATE, &me()).unwrap();

            assert_eq!(secured.changed, None);
            let open = Finding::Open {
                found,
                mode: 0o600,
                group: None,
            };
            assert_eq!(secured.findings, [open]);
        }
    }

    #[test]
    fn another_owner_and_a_second_name_are_said() {
        let file = fake(1_000, ME, 0o600);
        let mut attributes = file.attributes.get();
        attributes.links = 2;
        file.attributes.set(attributes);

        let secured = secure_file(&file, PRIVATE, &me()).unwrap();

        let linked = Finding::Linked { links: 2 };
        let foreign = Finding::Foreign { owner: 1_000 };
        assert_eq!(secured.findings, [linked, foreign]);
    }

    #[test]
    fn a_key_follows_the_group_that_is_set() {
        let file = fake(ME, ME, 0o600);

        for (group, mode, expected) in [
            (Some(2_000), 0o640, 2_000),
            (Some(ME), 0o640, ME),
            (None, 0o600, ME),
        ] {
            let secured = secure_file(&file, Access::of_key(group), &me()).unwrap();

            let now = file.attributes.get();
            assert_eq!((now.mode, now.group), (mode, expected));
            assert_eq!(secured.findings, []);
        }
    }

    #[test]
    fn no_group_is_let_in_that_is_not_the_one_that_is_set() {
        let file = fake(ME, 2_000, 0o600);

        let secured = secure_file(&file, Access::of_key(Some(7)), &me()).unwrap();

        assert_eq!(file.attributes.get().mode, 0o600);
        assert_eq!(secured.findings.len(), 1);
    }

    #[test]
    fn a_directory_is_closed_to_writers_and_stays_open_to_readers() {
        for (found, closed) in [(0o777, 0o755), (0o770, 0o750), (0o2770, 0o2750)] {
            let directory = fake(ME, ME, found);

            let secured = secure_directory(&directory, None, &me()).unwrap();

            assert_eq!(directory.attributes.get().mode, closed);
            assert_eq!(secured.changed, Some((found, closed)));
            assert_eq!(secured.findings, []);
        }
        for unchanged in [
            fake(ME, ME, 0o700),
            fake(0, 0, 0o1777),
            // As a kubelet leaves a volume with an `fsGroup`.
            fake(0, 2_000, 0o2770),
        ] {
            let secured = secure_directory(&unchanged, None, &me()).unwrap();
            assert_eq!(secured, Secured::default());
        }
        let foreign = secure_directory(&fake(0, 0, 0o777), None, &me()).unwrap();
        assert_eq!(foreign.findings.len(), 1);
    }

    #[test]
    fn a_directory_lets_the_group_of_the_keys_list_it() {
        let directory = fake(ME, ME, 0o700);

        secure_directory(&directory, Some(2_000), &me()).unwrap();

        let now = directory.attributes.get();
        assert_eq!((now.mode, now.group), (0o750, 2_000));
    }
}
