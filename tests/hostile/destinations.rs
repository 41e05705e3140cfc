//! Where credentials and files go is nobody's to choose but the operator's.
