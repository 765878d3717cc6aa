-- Whether a hub has taken what was put into its inbox until some moment, or is gone.
--
-- ARGV: the keys' prefix, the address, the moment (as operations.lua stamps it). Returns: 1 or 0.

local key = ARGV[1] .. '{i:' .. ARGV[2] .. '}'
if redis.call('EXISTS', key) == 0 then
  return 1
end
local taken = tonumber(redis.call('HGET', key .. ':taken', 'until') or 0)
return taken >= tonumber(ARGV[3]) and 1 or 0
