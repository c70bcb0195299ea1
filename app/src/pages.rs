//! One file per page, named after its address.

pub mod landing;
