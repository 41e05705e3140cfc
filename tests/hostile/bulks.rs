//! One tenant's bulk: it delays nobody's webhooks, and goes on where it stopped.
