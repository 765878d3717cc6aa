-- Forgets the messages, groups and statistics of one page of the keys; leases stay.
--
-- What was sent since the flush began stays, too, and what then became an unowned member.
--
-- ARGV: the keys' prefix, the same as a pattern, the cursor, how many keys to look at, the last
-- deadline of what was sent before, the last moment at which a member of before lapses.
-- Returns: the next cursor.

local prefix, pattern, cursor, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local last_deadline, last_lapse = tonumber(ARGV[5]), tonumber(ARGV[6])

local function is_newer(element)
  local deadline = tonumber(string.match(element, '^%d%d%d%d%d%d%d%d%d%d%d%d%d'))
  return deadline and deadline > last_deadline
end

local function cut(list)
  local last = redis.call('LINDEX', list, -1)
  if not last or not is_newer(last) then
    redis.call('UNLINK', list)
    return
  end
  while not is_newer(redis.call('LINDEX', list, 0)) do
    redis.call('LPOP', list)
  end
end

local function lapse(unowned)
  local members = redis.call('HGETALL', unowned)
  for at = 1, #members, 2 do
    if tonumber(string.match(members[at + 1], '^%d+')) <= last_lapse then
      redis.call('HDEL', unowned, members[at])
    end
  end
end

-- The inboxes at the hubs' own addresses were emptied when it began.
local function is_kept(rest)
  local is_lease = string.find(rest, '^{i:[^}]*}$')
  return is_lease or string.find(rest, '^{hubs}:') or string.find(rest, '^{i:txchannels%.hub%.')
end

local page = redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', count)
for _, key in ipairs(page[2]) do
  local rest = string.sub(key, #prefix + 1)
  if string.find(rest, '^{c:[^}]*}$') or string.find(rest, '^{i:[^}]*}:list$') then
    if not is_kept(rest) then
      cut(key)
    end
  elseif string.find(rest, '^{g:[^}]*}:unowned$') then
    lapse(key)
  elseif not is_kept(rest) then
    redis.call('UNLINK', key)
  end
end
return page[1]
