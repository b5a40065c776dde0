-- The demo's people and services. Safe to run again: what is there stays as it is.
INSERT INTO mechanics (id, name, timezone, country, city, postal_code, address) VALUES
('00000000-0000-4000-8000-0000000000a1', 'Amélie Tremblay', 'America/Toronto', 'CA', 'Toronto', 'M5V 2T6', '310 Front Street West, Toronto'),
('00000000-0000-4000-8000-0000000000a2', 'Bashir Haddad', 'America/Toronto', 'CA', 'Ottawa', 'K1P 1J1', '90 Wellington Street, Ottawa'),
('00000000-0000-4000-8000-0000000000a3', 'Chen Wei', 'America/Vancouver', 'CA', 'Vancouver', 'V6B 1A1', '1055 Canada Place, Vancouver'),
('00000000-0000-4000-8000-0000000000a4', 'Deirdre O''Brien', 'America/St_Johns', 'CA', 'St. John''s', 'A1C 1A1', '348 Water Street, St. John''s'),
('00000000-0000-4000-8000-0000000000a5', 'Étienne Gagnon', 'America/Halifax', 'CA', 'Halifax', 'B3H 4R2', '1919 Upper Water Street, Halifax'),
('00000000-0000-4000-8000-0000000000a6', 'Farah Singh', 'America/Vancouver', 'CA', 'Victoria', 'V8W 1P6', '721 Government Street, Victoria')
ON CONFLICT DO NOTHING;

-- Each of them works in a workshop of one bay; Amélie's has a second.
INSERT INTO workshops (id, name, country, city, postal_code, address, timezone)
SELECT ('00000000-0000-4000-8000-0000000000c' || right(m.id::text, 1))::uuid, m.city || ' workshop', m.country, m.city, m.postal_code, m.address, m.timezone
FROM mechanics AS m
WHERE m.id::text LIKE '00000000-0000-4000-8000-0000000000a_' AND m.id <> '00000000-0000-4000-8000-0000000000a6'
ON CONFLICT DO NOTHING;
INSERT INTO bays (workshop_id, name)
SELECT workshops.id, bay.name FROM workshops CROSS JOIN (VALUES ('1'), ('2')) AS bay (name)
WHERE workshops.id::text LIKE '00000000-0000-4000-8000-0000000000c_' AND (bay.name = '1' OR workshops.id::text LIKE '%c1')
ON CONFLICT DO NOTHING;
UPDATE mechanics SET workshop_id = workshops.id FROM workshops
WHERE workshop_id IS NULL AND workshops.id::text = '00000000-0000-4000-8000-0000000000c' || right(mechanics.id::text, 1)
    AND mechanics.id::text LIKE '00000000-0000-4000-8000-0000000000a_';

INSERT INTO services (id, slug, name, kind, duration_minutes, buffer_before_minutes, buffer_after_minutes) VALUES
('00000000-0000-4000-8000-0000000000b1', 'video-consultation', 'Video consultation', 'video', 60, 0, 15),
('00000000-0000-4000-8000-0000000000b2', 'chat-consultation', 'Chat consultation', 'chat', 30, 0, 0),
('00000000-0000-4000-8000-0000000000b3', 'remote-diagnostic', 'Remote diagnostic', 'diagnostic', 90, 15, 15),
('00000000-0000-4000-8000-0000000000b4', 'workshop-visit', 'Workshop visit', 'in_person', 120, 15, 30)
ON CONFLICT DO NOTHING;

INSERT INTO plans (id, service_id, slug, name, amount, currency) VALUES
('00000000-0000-4000-8000-00000000b101', '00000000-0000-4000-8000-0000000000b1', 'standard', 'Standard', 8900, 'cad'),
('00000000-0000-4000-8000-00000000b102', '00000000-0000-4000-8000-0000000000b1', 'with-report', 'With written report', 12900, 'cad'),
('00000000-0000-4000-8000-00000000b201', '00000000-0000-4000-8000-0000000000b2', 'standard', 'Standard', 3900, 'cad'),
('00000000-0000-4000-8000-00000000b301', '00000000-0000-4000-8000-0000000000b3', 'standard', 'Standard', 14900, 'cad'),
('00000000-0000-4000-8000-00000000b401', '00000000-0000-4000-8000-0000000000b4', 'standard', 'Standard', 19900, 'cad'),
('00000000-0000-4000-8000-00000000b402', '00000000-0000-4000-8000-0000000000b4', 'full-check', 'Full check', 28900, 'cad')
ON CONFLICT DO NOTHING;

-- Everybody offers everything but Farah, who has no workshop.
INSERT INTO mechanic_services (mechanic_id, service_id)
SELECT mechanics.id, services.id FROM mechanics, services
WHERE mechanics.id::text LIKE '00000000-0000-4000-8000-0000000000a_' AND services.id::text LIKE '00000000-0000-4000-8000-0000000000b_'
    AND NOT (mechanics.id = '00000000-0000-4000-8000-0000000000a6' AND services.kind = 'in_person')
ON CONFLICT DO NOTHING;

-- Monday to Friday in two spans; Saturday mornings in the cities of the west.
INSERT INTO availability_rules (mechanic_id, weekday, start_time, end_time)
SELECT mechanics.id, weekday, span.opens, span.closes
FROM mechanics
CROSS JOIN generate_series(0, 4) AS weekday
CROSS JOIN (VALUES (time '09:00', time '12:30'), (time '13:00', time '17:30')) AS span (opens, closes)
WHERE mechanics.id::text LIKE '00000000-0000-4000-8000-0000000000a_'
UNION ALL
SELECT mechanics.id, 5, time '10:00', time '14:00' FROM mechanics
WHERE mechanics.id::text LIKE '00000000-0000-4000-8000-0000000000a_' AND mechanics.timezone = 'America/Vancouver'
ON CONFLICT DO NOTHING;
