/**
 * What happens to the nonces in Redis in one piece. KEYS[1] is a hash of what is so of the memory: `life` of the server, `begun`, and the lease's
 * `holder` and `until`, all times in ms by the server's clock. KEYS[2] is a sorted set of the processes, by when they last wanted nonces.
 * ARGV[1] is the server's life as the connection knows it, ARGV[2] the process, ARGV[3] what precedes a nonce in its key.
 */

/** A memory of another life of the server may lack what was last written in that life: it begins anew. */
const prelude = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(ms) return string.format('%.0f', ms) end
if redis.call('HGET', KEYS[1], 'life') ~= ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'life', ARGV[1], 'begun', text(now))
end
local holder = redis.call('HGET', KEYS[1], 'holder')`

/** Nothing but the prelude. */
export const beginScript = `${prelude}
return 1`

/**
 * ARGV: then nonces and for how many ms to remember them, in turn. Answers nothing where another process holds the lease; else when the memory
 * began, and 1 for each nonce that was never used before, 0 for the others. A lease that has run out is ended: what its holder took
 * was created up to its end. ARGV[4] is how far ahead a caller's clock may be.
 */
export const useScript = `${prelude}
redis.call('ZADD', KEYS[2], text(now), ARGV[2])
if holder and holder ~= ARGV[2] then
  local untilMs = tonumber(redis.call('HGET', KEYS[1], 'until'))
  if untilMs >= now then return {} end
  local begun = tonumber(redis.call('HGET', KEYS[1], 'begun'))
  redis.call('HDEL', KEYS[1], 'holder', 'until')
  redis.call('HSET', KEYS[1], 'begun', text(math.max(begun, untilMs - ARGV[4])))
end
local answer = { redis.call('HGET', KEYS[1], 'begun') }
for i = 5, #ARGV, 2 do
  local taken = redis.call('SET', ARGV[3] .. ARGV[i], '1', 'PX', ARGV[i + 1], 'NX')
  answer[#answer + 1] = taken and 1 or 0
end
return answer`

/** ARGV[4]: for how many ms, ARGV[5]: for how many ms no other process may have wanted nonces. Answers 1 where the lease is given. */
export const leaseScript = `${prelude}
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now - 3600000))
for _, process in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. text(now - ARGV[5]), '+inf')) do
  if process ~= ARGV[2] then return 0 end
end
if holder then return 0 end
redis.call('HSET', KEYS[1], 'holder', ARGV[2], 'until', text(now + ARGV[4]))
return 1`

/** ARGV as for the lease. Answers its end, when the memory began, and 1 where another process wants it; nothing where it is not this process's. */
export const renewScript = `${prelude}
if holder ~= ARGV[2] then return {} end
local untilMs = math.max(tonumber(redis.call('HGET', KEYS[1], 'until')), now + ARGV[4])
redis.call('HSET', KEYS[1], 'until', text(untilMs))
local wanted = 0
for _, process in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. text(now - ARGV[5]), '+inf')) do
  if process ~= ARGV[2] then wanted = 1 end
end
return { text(untilMs), redis.call('HGET', KEYS[1], 'begun'), wanted }`

/** ARGV[4]: for how many ms; then nonces. */
export const keepScript = `${prelude}
for i = 5, #ARGV do redis.call('SET', ARGV[3] .. ARGV[i], '1', 'PX', ARGV[4], 'NX') end
return 1`

export const releaseScript = `${prelude}
if holder == ARGV[2] then redis.call('HDEL', KEYS[1], 'holder', 'until') end
return 1`

export const leaveScript = `
return redis.call('ZREM', KEYS[2], ARGV[2])`
