-- Does a batch of operations in order, and answers each with a number.
--
-- ARGV: the keys' prefix, then for each operation its letter and its arguments (as in
-- operations.py). Returns: the server's time in milliseconds, then a verdict for each:
-- 0 or more is the number of those who had no room, or when it was done, in microseconds;
-- FULL and CLOSED are below.

local FULL = -1
local CLOSED = -2
local MAX_INBOX_MESSAGES = 10000
local MAX_INBOX_BYTES = 64 * 1024 * 1024
local MAX_GROUP_SENDS = 1000
local OWNED_MS = 172800000
local STATISTICS_MS = 3600000

local prefix = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local counted = {}

-- The moment of this batch: no two of different senders have the same.
local moment = time[1] * 1000000 + time[2]

-- What a change of a membership that its owner is told of begins with.
local stamp = string.format('@%016.0f', moment)

-- What has found no room in this batch: what follows it must not overtake it.
local refused = {}

local function count(name, field)
  local family = string.match(name, '^[^?!]*[?!]?')
  local counts = counted[family]
  if not counts then
    counts = { messages_count = 0, channel_full_count = 0 }
    counted[family] = counts
  end
  counts[field] = counts[field] + 1
end

local function write_counts()
  local total = prefix .. '{#}:statistics'
  for family, counts in pairs(counted) do
    local key = prefix .. '{c:' .. family .. '}:statistics'
    for field, number in pairs(counts) do
      if number > 0 then
        redis.call('HINCRBY', key, field, number)
        redis.call('HINCRBY', total, field, number)
      end
    end
    redis.call('PEXPIRE', key, STATISTICS_MS)
    redis.call('PEXPIRE', total, 24 * STATISTICS_MS)
  end
end

-- What does not begin with a deadline is no message.
local function drop_expired(list)
  local first = redis.call('LINDEX', list, 0)
  while first do
    local deadline = tonumber(string.match(first, '^%d%d%d%d%d%d%d%d%d%d%d%d%d'))
    if deadline and deadline > now then
      return
    end
    redis.call('LPOP', list)
    first = redis.call('LINDEX', list, 0)
  end
end

-- A process-local channel that no hub owns waits in its prefix's list, its name at the end.
local function to_channel(channel, capacity, keep, element)
  local name = string.match(channel, '^[^!]*!') or channel
  if name ~= channel then
    element = element .. '\n' .. channel
  end
  local list = prefix .. '{c:' .. name .. '}'
  if not refused[channel] and redis.call('LLEN', list) >= capacity then
    drop_expired(list)
    refused[channel] = redis.call('LLEN', list) >= capacity
  end
  if refused[channel] then
    count(name, 'channel_full_count')
    return FULL
  end
  redis.call('RPUSH', list, element)
  redis.call('PEXPIRE', list, keep)
  count(name, 'messages_count')
  return 0
end

-- An inbox is emptied as a whole, so what is counted of it starts anew when it is empty.
local function to_inbox(address, channel, capacity, keep, element)
  local lease = prefix .. '{i:' .. address .. '}'
  if redis.call('EXISTS', lease) == 0 then
    return CLOSED
  end
  local list, counts = lease .. ':list', lease .. ':counts'
  local length = redis.call('LLEN', list)
  if length == 0 then
    redis.call('DEL', counts)
  elseif length >= MAX_INBOX_MESSAGES
      or tonumber(redis.call('HGET', counts, '#') or 0) + #element > MAX_INBOX_BYTES then
    refused[channel] = true
  end
  if refused[channel]
      or tonumber(redis.call('HGET', counts, channel) or 0) >= capacity
      or redis.call('SISMEMBER', lease .. ':paused', channel) == 1 then
    refused[channel] = channel ~= '*'
    count(address, 'channel_full_count')
    return FULL
  end
  redis.call('HINCRBY', counts, channel, 1)
  redis.call('HINCRBY', counts, '#', #element)
  redis.call('RPUSH', list, element)
  redis.call('PEXPIRE', list, keep)
  redis.call('PEXPIRE', counts, keep)
  count(address, 'messages_count')
  return 0
end

local function key_of_group(group)
  return prefix .. '{g:' .. group .. '}'
end

local function forget_dead(key, address)
  redis.call('HDEL', key .. ':owners', address)
  redis.call('DEL', key .. ':of:' .. address)
end

local function to_group(group, except, keep, element)
  local key = key_of_group(group)
  local full = 0
  for _, address in ipairs(redis.call('HKEYS', key .. ':owners')) do
    if not string.find(except, ' ' .. address .. ' ', 1, true) then
      local verdict = to_inbox(address, '*', MAX_GROUP_SENDS, keep, element)
      if verdict == CLOSED then
        forget_dead(key, address)
      elseif verdict == FULL then
        full = full + redis.call('SCARD', key .. ':of:' .. address)
      end
    end
  end
  local unowned = redis.call('HGETALL', key .. ':unowned')
  for at = 1, #unowned, 2 do
    local channel, value = unowned[at], unowned[at + 1]
    local lapses, capacity = string.match(value, '^(%d+) (%d+)$')
    if tonumber(lapses) <= now then
      redis.call('HDEL', key .. ':unowned', channel)
    elseif not string.find(except, ' ' .. channel .. ' ', 1, true)
        and to_channel(channel, tonumber(capacity), keep, element) == FULL then
      full = full + 1
    end
  end
  return full
end

local function join(group, address, channel)
  local key = key_of_group(group)
  redis.call('HSET', key .. ':owners', address, 1)
  redis.call('SADD', key .. ':of:' .. address, channel)
  redis.call('PEXPIRE', key .. ':owners', OWNED_MS)
  redis.call('PEXPIRE', key .. ':of:' .. address, OWNED_MS)
  return moment
end

local function leave(group, address, channel)
  local key = key_of_group(group)
  local members = key .. ':of:' .. address
  redis.call('SREM', members, channel)
  if redis.call('EXISTS', members) == 0 then
    redis.call('HDEL', key .. ':owners', address)
  end
  return moment
end

local operations = {
  -- name, capacity, keep, element
  c = { 4, function(a, b, c, d) return to_channel(a, tonumber(b), c, d) end },
  -- address, channel, capacity, keep, element
  a = { 5, function(a, b, c, d, e) return to_inbox(a, b, tonumber(c), d, e) end },
  -- group, addresses and channels to leave out (each between blanks), keep, element
  g = { 4, to_group },
  -- group, address, channel
  j = { 3, join },
  l = { 3, leave },
  -- group, address, channel, keep, element: a membership that its owner does not know yet
  f = { 5, function(group, address, channel, keep, element)
    local verdict = to_inbox(address, '*', MAX_INBOX_MESSAGES, keep, stamp .. element)
    return verdict == 0 and join(group, address, channel) or verdict
  end },
  -- group, address, channel, keep, element: the end of one
  d = { 5, function(group, address, channel, keep, element)
    leave(group, address, channel)
    return to_inbox(address, '*', MAX_INBOX_MESSAGES, keep, stamp .. element)
  end },
  -- group, channel, milliseconds until it lapses, capacity
  u = { 4, function(group, channel, lapse, capacity)
    local key = key_of_group(group) .. ':unowned'
    redis.call('HSET', key, channel, string.format('%.0f %s', now + lapse, capacity))
    if redis.call('PTTL', key) < tonumber(lapse) then
      redis.call('PEXPIRE', key, lapse)
    end
    return 0
  end },
  -- group, channel
  n = { 2, function(group, channel)
    redis.call('HDEL', key_of_group(group) .. ':unowned', channel)
    return 0
  end },
  -- address, channel, milliseconds
  p = { 3, function(address, channel, keep)
    local key = prefix .. '{i:' .. address .. '}:paused'
    redis.call('SADD', key, channel)
    redis.call('PEXPIRE', key, keep)
    return 0
  end },
  -- address, channel
  r = { 2, function(address, channel)
    redis.call('SREM', prefix .. '{i:' .. address .. '}:paused', channel)
    return 0
  end },
  -- address: nothing is paused
  q = { 1, function(address)
    return redis.call('DEL', prefix .. '{i:' .. address .. '}:paused')
  end },
  -- address, moment, milliseconds: what was put into its inbox until then is taken
  t = { 3, function(address, taken, keep)
    local key = prefix .. '{i:' .. address .. '}:taken'
    redis.call('HSET', key, 'until', taken)
    redis.call('PEXPIRE', key, keep)
    return 0
  end },
  -- nothing: tells when it was done
  s = { 0, function() return moment end },
  -- name
  x = { 1, function(name)
    return redis.call('DEL', prefix .. '{c:' .. name .. '}')
  end },
}

local verdicts = { now }
local at = 2
while at <= #ARGV do
  local operation = operations[ARGV[at]]
  local size = operation[1]
  verdicts[#verdicts + 1] = operation[2](unpack(ARGV, at + 1, at + size))
  at = at + 1 + size
end
write_counts()
return verdicts
