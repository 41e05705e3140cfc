//! Who names a line that is not theirs keeps nobody's webhooks out.
