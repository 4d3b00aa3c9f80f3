//! Network file systems, where the system tells nothing of changes made by
//! other machines.

use std::path::{Path, PathBuf};

/// A mounted network file system.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) at: PathBuf,
    pub(super) kind: String,
}

/// The network file system that `folder` is on, or one that is mounted below
/// it, by the text of Linux' `/proc/self/mountinfo`.
pub(super) fn network(mountinfo: &str, folder: &Path) -> Option<Mount> {
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(mount).collect();
    // Of several at one place the last covers the others.
    let on = mounts
        .iter()
        .filter(|mount| folder.starts_with(&mount.at))
        .max_by_key(|mount| mount.at.components().count())
        .filter(|mount| is_network(&mount.kind))
        .map(|mount| Mount { at: mount.at.clone(), kind: mount.kind.clone() });
    on.or_else(|| {
        let below = |mount: &Mount| mount.at != folder && mount.at.starts_with(folder);
        mounts.into_iter().find(|mount| is_network(&mount.kind) && below(mount))
    })
}

/// What is mounted below some `folders`, each mount as its line says what and
/// where it is.
pub(super) fn below(mountinfo: &str, folders: &[PathBuf]) -> Vec<String> {
    let is_below = |line: &&str| {
        let at = mount(line).map(|mount| mount.at);
        at.is_some_and(|at| folders.iter().any(|folder| at != *folder && at.starts_with(folder)))
    };
    // Options may change of what stays the same.
    let identity = |line: &str| line.split(' ').take(5).collect::<Vec<_>>().join(" ");
    mountinfo.lines().filter(is_below).map(identity).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (place, source) = line.split_once(" - ")?;
    let at = unescaped(place.split(' ').nth(4)?);
    Some(Mount { at: at.into(), kind: source.split(' ').next()?.to_owned() })
}

/// The kernel writes the characters that would end a field as octal numbers.
fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |field, (escape, character)| field.replace(escape, character))
}

fn is_network(kind: &str) -> bool {
    const KINDS: &str = "nfs nfs4 cifs smb3 smbfs 9p afs ceph glusterfs lustre virtiofs vboxsf \
        davfs fuse.sshfs fuse.rclone fuse.s3fs fuse.gcsfuse fuse.glusterfs fuse.ceph-fuse \
        fuse.gvfsd-fuse fuse.davfs fuse.davfs2 fuse.curlftpfs fuse.smbnetfs fuse.goofys \
        fuse.mount-s3 fuse.vmhgfs-fuse fuse.kio-fuse fuse.juicefs fuse.blobfuse2";
    KINDS.split_whitespace().any(|network| network == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/my\\040cars rw shared:2 master:1 - nfs4 host:/cars rw
31 30 8:2 / /mnt/my\\040cars/disk rw - ext4 /dev/sdb1 rw
32 22 0:41 / /home/me/far rw - fuse.sshfs me@host: rw
33 22 0:42 / /home/me/near rw - fuse.ntfs-3g /dev/sdc1 rw
";

    fn at(folder: &str) -> Option<String> {
        network(MOUNTS, Path::new(folder)).map(|mount| mount.kind)
    }

    #[test]
    fn the_nearest_mount_above_says_what_a_folder_is_on() {
        assert_eq!(at("/mnt/my cars/2024").as_deref(), Some("nfs4"));
        assert_eq!(at("/mnt/my cars").as_deref(), Some("nfs4"));
        assert_eq!(at("/mnt/my cars/disk/2024"), None);
        assert_eq!(at("/mnt/my cars too"), None);
        assert_eq!(at("/home/me/near"), None);
    }

    #[test]
    fn a_network_mount_below_the_folder_counts() {
        assert_eq!(at("/home/me").as_deref(), Some("fuse.sshfs"));
        assert_eq!(at("/home/me/fa"), None);
    }

    #[test]
    fn what_is_mounted_below_is_another_mount_after_it_was_away() {
        let folders = ["/mnt/my cars", "/home"].map(PathBuf::from);
        let mounts = below(MOUNTS, &folders);
        assert_eq!(mounts[0], "31 30 8:2 / /mnt/my\\040cars/disk");
        assert_eq!(mounts.len(), 3);
        let again = MOUNTS.replace("33 22", "34 22");
        assert_ne!(below(&again, &folders), mounts);
        assert_eq!(below(&MOUNTS.replace("rw -", "ro -"), &folders), mounts);
    }

    #[test]
    fn text_of_another_form_has_no_mounts() {
        assert_eq!(network("", Path::new("/")), None);
        assert_eq!(below("nfs\n1 2 - nfs\n", &["/".into()]), Vec::<String>::new());
        assert_eq!(network("nfs\n1 2 - nfs\n", Path::new("/")), None);
    }
}
