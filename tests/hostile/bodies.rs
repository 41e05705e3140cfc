//! Bodies that do not end, or that nobody asked for: they take no room from genuine webhooks.
