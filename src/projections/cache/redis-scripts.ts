/**
 * What happens in Redis in one piece. KEYS[1] is the epoch's hash of what is withheld: incident's key → batch, and one field for
 * the latest batch that withheld something. `begin` alone makes it; where it is gone (flushed, evicted, expired) the epoch can take nothing in.
 * The others of KEYS are the incidents' own keys, each holding `<revision> <JSON>` or `lease:<token>`.
 */

/** ARGV: the hash's time to live in ms. */
export const beginScript = `
redis.call('HSET', KEYS[1], 'latest', '0')
return redis.call('PEXPIRE', KEYS[1], ARGV[1])`

/**
 * ARGV: batch, the hash's time to live in ms. An earlier batch than the latest comes again: it deletes, which is safe, but marks nothing,
 * lest a refresh that comes again after it puts back what it once put. Answers 0 where the hash is gone; the values are deleted all the same.
 */
export const withholdScript = `
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
local latest = redis.call('HGET', KEYS[1], 'latest')
if not latest then return 0 end
if tonumber(ARGV[1]) < tonumber(latest) then return 1 end
redis.call('HSET', KEYS[1], 'latest', ARGV[1])
for i = 2, #KEYS do redis.call('HSET', KEYS[1], KEYS[i], ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`

/** ARGV: batch, the values' time to live in ms, the values. Sets only what this batch was the last to withhold. */
export const refreshScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for i = 2, #KEYS do
  if redis.call('HGET', KEYS[1], KEYS[i]) == ARGV[1] then
    redis.call('SET', KEYS[i], ARGV[i + 1], 'PX', ARGV[2])
    redis.call('HDEL', KEYS[1], KEYS[i])
  end
end
return 1`

/** ARGV: the lease, its time to live in ms. Answers 1 where it is given: nothing is there, and nothing withheld. */
export const leaseScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[1], KEYS[2]) == 1 then return 0 end
if redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2], 'NX') then return 1 end
return 0`

/** KEYS[1]: the incident's. ARGV: the lease, the value, its time to live in ms. A lease that still stands was not withheld since. */
export const fillScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`
