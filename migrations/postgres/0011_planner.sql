-- How often autovacuum looks after tables whose rows change many times in their short lives. A queue that grew a hundredfold since
-- it was last looked at is planned for as if it were short; heads and lanes are read by every writer.

alter table outbound set (autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.05);

alter table lanes set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
alter table lane_pairs set (autovacuum_vacuum_scale_factor = 0.05);
alter table event_heads set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
