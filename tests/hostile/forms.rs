//! What a signature does not cover is not believed.
