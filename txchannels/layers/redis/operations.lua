-- Does a batch of operations in order, and answers each with a number.
--
-- ARGV: the keys' prefix, then for each operation its letter and its arguments (as in
-- operations.py). Returns: the server's time in milliseconds, then a verdict for each:
-- 0 or more is the number of those who had no room, or when it was done, in microseconds;
-- FULL, CLOSED and FAILED are below. What fails, since a key of its own holds something else,
-- harms nothing else: what is before it and behind it is done.

local FULL = -1
local CLOSED = -2
local FAILED = -3
local MAX_INBOX_MESSAGES = 10000
local MAX_INBOX_BYTES = 64 * 1024 * 1024
local MAX_GROUP_SENDS = 1000
local OWNED_MS = 172800000
local STATISTICS_MS = 3600000
local MAX_FIELDS = 1000

local prefix = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The moment of this batch: no two of different senders have the same.
local moment = time[1] * 1000000 + time[2]

-- What has found no room in this batch: what follows it must not overtake it.
local refused = {}

-- What is written once a batch: for how long lists are kept, the inboxes' books by address,
-- and how many messages, and full channels, were counted of each family of channels.
local kept, inboxes, messages, full = {}, {}, {}, {}

-- How long the channels' lists are.
local lengths = {}

local function count(counts, name)
  local family = string.match(name, '^[^?!]*[?!]?')
  counts[family] = (counts[family] or 0) + 1
end

local function write_counts(counts, field)
  local total = prefix .. '{#}:statistics'
  for family, number in pairs(counts) do
    local key = prefix .. '{c:' .. family .. '}:statistics'
    redis.pcall('HINCRBY', key, field, number)
    redis.pcall('HINCRBY', total, field, number)
    redis.pcall('PEXPIRE', key, STATISTICS_MS)
    redis.pcall('PEXPIRE', total, 24 * STATISTICS_MS)
  end
end

local function write_books(inbox)
  if inbox.was_empty then
    redis.pcall('DEL', inbox.counts)
  end
  local fields = { '#', inbox.bytes }
  for channel, number in pairs(inbox.taken) do
    fields[#fields + 1] = channel
    fields[#fields + 1] = number
    if #fields >= MAX_FIELDS then
      redis.pcall('HSET', inbox.counts, unpack(fields))
      fields = { '#', inbox.bytes }
    end
  end
  redis.pcall('HSET', inbox.counts, unpack(fields))
  redis.pcall('PEXPIRE', inbox.counts, kept[inbox.list])
end

-- Beside the messages, whose operations are done: what cannot be written here fails none of them.
local function write_all()
  for list, keep in pairs(kept) do
    redis.pcall('PEXPIRE', list, keep)
  end
  for _, inbox in pairs(inboxes) do
    if kept[inbox.list] then
      write_books(inbox)
    end
  end
  write_counts(messages, 'messages_count')
  write_counts(full, 'channel_full_count')
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
  local length = lengths[list] or redis.call('LLEN', list)
  if not refused[channel] and length >= capacity then
    drop_expired(list)
    length = redis.call('LLEN', list)
    refused[channel] = length >= capacity
  end
  if refused[channel] then
    count(full, name)
    return FULL
  end
  lengths[list] = redis.call('RPUSH', list, element)
  kept[list] = keep
  count(messages, name)
  return 0
end

-- An inbox is emptied as a whole, so what is counted of it starts anew when it is empty.
local function inbox_at(address)
  local inbox = inboxes[address]
  if not inbox then
    local lease = prefix .. '{i:' .. address .. '}'
    inbox = { is_there = redis.call('EXISTS', lease) == 1 }
    if inbox.is_there then
      inbox.list, inbox.counts, inbox.paused = lease .. ':list', lease .. ':counts', lease .. ':paused'
      inbox.length = redis.call('LLEN', inbox.list)
      inbox.was_empty = inbox.length == 0
      inbox.bytes = not inbox.was_empty and tonumber(redis.call('HGET', inbox.counts, '#')) or 0
      inbox.has_paused = redis.call('EXISTS', inbox.paused) == 1
      inbox.taken = {}
    end
    inboxes[address] = inbox
  end
  return inbox
end

local function taken_of(inbox, channel)
  local taken = inbox.taken[channel]
  if not taken and not inbox.was_empty then
    taken = tonumber(redis.call('HGET', inbox.counts, channel))
  end
  return taken or 0
end

local function to_inbox(address, channel, capacity, keep, element)
  local inbox = inbox_at(address)
  if not inbox.is_there then
    return CLOSED
  end
  if inbox.length >= MAX_INBOX_MESSAGES or inbox.bytes + #element > MAX_INBOX_BYTES then
    refused[channel] = true
  end
  local taken = taken_of(inbox, channel)
  if refused[channel] or taken >= capacity
      or inbox.has_paused and redis.call('SISMEMBER', inbox.paused, channel) == 1 then
    refused[channel] = channel ~= '*'
    count(full, address)
    return FULL
  end
  inbox.length = redis.call('RPUSH', inbox.list, element)
  inbox.taken[channel] = taken + 1
  inbox.bytes = inbox.bytes + #element
  kept[inbox.list] = keep
  count(messages, address)
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
  local full, failure = 0, nil
  -- One who cannot get it must not keep it from the others.
  local function to_one(send, ...)
    local is_done, verdict = pcall(send, ...)
    failure = failure or not is_done and verdict
    return is_done and verdict
  end
  for _, address in ipairs(redis.call('HKEYS', key .. ':owners')) do
    if not string.find(except, ' ' .. address .. ' ', 1, true) then
      local verdict = to_one(to_inbox, address, '*', MAX_GROUP_SENDS, keep, element)
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
    if not lapses or tonumber(lapses) <= now then
      redis.call('HDEL', key .. ':unowned', channel)
    elseif not string.find(except, ' ' .. channel .. ' ', 1, true)
        and to_one(to_channel, channel, tonumber(capacity), keep, element) == FULL then
      full = full + 1
    end
  end
  if failure then
    error(failure, 0)
  end
  return full
end

local function join(group, address, channel)
  local key = key_of_group(group)
  redis.call('HSET', key .. ':owners', address, 1)
  redis.call('PEXPIRE', key .. ':owners', OWNED_MS)
  redis.call('SADD', key .. ':of:' .. address, channel)
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

-- What a change of a membership that its owner is told of begins with.
local function stamped(element)
  return string.format('@%016.0f', moment) .. element
end

-- All operations but the two that nearly all are; made only for a batch that has some.
local function make_others() return {
  -- group, addresses and channels to leave out (each between blanks), keep, element
  g = { 4, to_group },
  -- group, address, channel
  j = { 3, join },
  l = { 3, leave },
  -- group, address, channel, keep, element: a membership that its owner does not know yet
  f = { 5, function(group, address, channel, keep, element)
    local verdict = to_inbox(address, '*', MAX_INBOX_MESSAGES, keep, stamped(element))
    return verdict == 0 and join(group, address, channel) or verdict
  end },
  -- group, address, channel, keep, element: the end of one
  d = { 5, function(group, address, channel, keep, element)
    leave(group, address, channel)
    return to_inbox(address, '*', MAX_INBOX_MESSAGES, keep, stamped(element))
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
    inbox_at(address).has_paused = true
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
    local list = prefix .. '{c:' .. name .. '}'
    lengths[list] = nil
    return redis.call('DEL', list)
  end },
} end

local verdicts, others = { now }, nil

-- Do all operations from the one at *at* on.
local function run_from(at)
  while at <= #ARGV do
    local letter = ARGV[at]
    local verdict
    if letter == 'a' then
      -- address, channel, capacity, keep, element
      local capacity = tonumber(ARGV[at + 3])
      verdict = to_inbox(ARGV[at + 1], ARGV[at + 2], capacity, ARGV[at + 4], ARGV[at + 5])
      at = at + 6
    elseif letter == 'c' then
      -- name, capacity, keep, element
      verdict = to_channel(ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4])
      at = at + 5
    else
      others = others or make_others()
      local size, run = unpack(others[letter])
      verdict = run(unpack(ARGV, at + 1, at + size))
      at = at + 1 + size
    end
    verdicts[#verdicts + 1] = verdict
  end
end

-- One protected call for all is all that it costs; only what has failed makes for another.
local at, count = 2, 0
local is_done, failure = pcall(run_from, at)
while not is_done do
  -- Errors that are no key's fault come before a script's first write, or not at all: when they
  -- end a batch, nothing of it was done.
  local text = tostring(type(failure) == 'table' and failure.err or failure)
  local code = string.match(text, '^-?(%u+) ')
  if code == 'OOM' or code == 'READONLY' or code == 'MISCONF' or code == 'NOREPLICAS'
      or code == 'MASTERDOWN' then
    return redis.error_reply(text)
  end
  verdicts[#verdicts + 1] = FAILED
  while count < #verdicts - 1 do
    local letter = ARGV[at]
    at = at + 1 + (letter == 'a' and 5 or letter == 'c' and 4 or others[letter][1])
    count = count + 1
  end
  is_done, failure = pcall(run_from, at)
end
write_all()
return verdicts
