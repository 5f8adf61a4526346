-- What each process asks several times a second: how far the incidents' projection is, and which cache may be read.
SELECT
  projection.generation,
  projection.index,
  projection.commit,
  projection.prepare,
  projection.far_behind,
  extract(epoch FROM clock_timestamp() - projection.beat_at)::float8 AS seconds_since_beat,
  cache_epoch.epoch,
  cache_epoch.place
FROM ledger.cache_epoch
LEFT JOIN ledger.projection ON projection.name = 'incidents'
