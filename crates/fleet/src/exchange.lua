-- One exchange with up to 512 counters. What it means is `domain::limit::Shares`; this is the same by the server's
-- clock.
--
-- KEYS[1] is when all of this began, in microseconds; every other key is a counter: a hash of `run` (its epoch),
-- `base` (taken by those who are not part of this run), and for each replica what it said last, as five numbers.
-- ARGV: the replica, how many live, LEASE and GONE in milliseconds, then ten values for each counter.

local replica, fleet = ARGV[1], tonumber(ARGV[2])
local lease, gone = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local microseconds = time[1] * 1000000 + time[2]
local now = math.floor(microseconds / 1000)

-- A clock that was set back makes nothing last for longer than it would have.
local began = math.min(tonumber(redis.call('GET', KEYS[1]) or microseconds), microseconds)
local began_at = math.floor(began / 1000)
redis.call('SET', KEYS[1], string.format('%.0f', began), 'PX', 30 * 86400000)

local function written(said)
  return string.format('%.0f %.0f %.0f %.0f %.0f', said.spent, said.held, said.wanted, said.share, said.heard)
end

-- What was said, or nil where it counts no longer; and what of it goes into the base. `is_other` says that it is not
-- what stands there.
local function remembered(text, span, length)
  local words = string.gmatch(text, '%d+')
  local said = {}
  for _, name in ipairs({ 'spent', 'held', 'wanted', 'share', 'heard' }) do
    said[name] = tonumber(words())
  end
  if said.heard > now then said.heard, said.is_other = now, true end
  local silent = now - said.heard
  if silent <= lease then return said, 0 end
  if said.share > 0 or said.wanted > 0 then said.is_other = true end
  said.share, said.wanted = 0, 0
  if span == 'sliding' then
    if silent > lease + length then return nil, 0 end
  elseif span == 'period' then
    if said.held > 0 then said.is_other = true end
    said.held = 0
    if silent > gone then return nil, said.spent end
  else
    return nil, 0
  end
  return said, 0
end

local function exchange(key, span, length, ttl, capacity, epoch, spent, unsaid, held, known, wanted)
  local run, base, others, had, said_before = nil, 0, {}, 0, 0
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local field, value = fields[i], fields[i + 1]
    if field == 'run' then
      run = value
    elseif field == 'base' then
      base = base + tonumber(value)
    else
      local said, handed_over = remembered(value, span, length)
      base = base + handed_over
      if not said then
        redis.call('HDEL', key, field)
      elseif said.is_other then
        redis.call('HSET', key, field, written(said))
      end
      if not said then
        -- It counts no longer.
      elseif field == replica then
        had, said_before = said.share, said.spent
      else
        others[#others + 1] = said
      end
    end
  end
  if not run then
    run = string.format('%.0f', microseconds)
    redis.call('HSET', key, 'run', run)
  end

  local spent_by_others, allocated_to_others, wanting, heard = 0, 0, 0, 0
  local someone_waits = false
  for _, other in ipairs(others) do
    local allocated = math.max(other.share, other.spent + other.held)
    spent_by_others = spent_by_others + other.spent
    allocated_to_others = allocated_to_others + allocated
    if other.wanted > 0 then wanting = wanting + 1 end
    if other.wanted > allocated then someone_waits = true end
    if other.heard >= began_at then heard = heard + 1 end
  end
  if span == 'period' and epoch ~= run then
    -- What it said before this run is in the base. What it has taken since, nobody else knows.
    known, wanted, spent = known - unsaid, math.max(wanted - math.max(spent - unsaid, 0), 0), unsaid
    -- Whoever begins anew has taken what it said before all the same, but for what it says again; and what the
    -- ledger told it, others may have said.
    if epoch == '' then
      base, known = base + math.max(said_before - spent, 0), known - spent_by_others
    end
    base = math.max(base, known)
  end

  local room = math.max(capacity - base - allocated_to_others, 0)
  local within = room
  -- Whoever has not been heard of since everything was lost may still give out what it had.
  local unheard = fleet - 1 - heard
  if now - began_at < lease and unheard > 0 then within = math.ceil(room / (unheard + 1)) end
  local fair = capacity
  if someone_waits then fair = math.floor(capacity / (wanting + 1)) end
  local share = math.min(wanted, within, math.max(fair, had))
  share = math.max(share, spent + held)

  local said = { spent = spent, held = held, wanted = wanted, share = share, heard = now }
  redis.call('HSET', key, 'base', string.format('%.0f', base), replica, written(said))
  redis.call('PEXPIRE', key, ttl)
  local granted = { share, math.max(within - share, 0), base + spent_by_others, fair }
  for i, amount in ipairs(granted) do granted[i] = string.format('%.0f', amount) end
  granted[#granted + 1] = run
  return granted
end

local grants = {}
for i = 2, #KEYS do
  local at = 4 + (i - 2) * 10
  local n = function(offset) return tonumber(ARGV[at + offset]) end
  grants[i - 1] = exchange(KEYS[i], ARGV[at + 1], n(2), n(3), n(4), ARGV[at + 5], n(6), n(7), n(8), n(9),
    n(10))
end
return { string.format('%.0f', began), grants }
