//! Identifiers that are drawn at random.

/// A UUID whose order is that of time, as Packer's `{{uuid}}` and run ids are.
pub fn time_ordered_uuid() -> String {
    let node = *uuid::Uuid::new_v4().as_bytes();
    let mut id = [0; 6];
    id.copy_from_slice(&node[..6]);
    uuid::Uuid::now_v1(&id).to_string()
}
