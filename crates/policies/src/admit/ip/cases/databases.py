"""Makes countries.mmdb and systems.mmdb, which are committed. Run where mmdb_writer is installed:

    pip install mmdb_writer && python3 databases.py

The networks are those set aside for documentation (RFC 5737, RFC 3849), and so are two of the
numbers (RFC 5398).
"""

from netaddr import IPSet
from mmdb_writer import MMDBWriter


def write(name, kind, networks):
    writer = MMDBWriter(6, kind, ipv4_compatible=True, languages=["en"], int_type="u32", description=f"Gateward's tests: {kind}")
    for network, value in networks:
        writer.insert_network(IPSet([network]), value)
    writer.to_db_file(name)


def country(code):
    return {"country": {"iso_code": code, "names": {"en": code}}, "registered_country": {"iso_code": "US"}}


write("countries.mmdb", "Gateward-Test-Country", [
    ("192.0.2.0/25", country("DE")),
    ("192.0.2.128/25", country("FR")),
    ("198.51.100.0/24", country("FR")),
    ("203.0.113.0/24", {"registered_country": {"iso_code": "US"}}),
    ("2001:db8::/48", country("DE")),
])
write("systems.mmdb", "Gateward-Test-ASN", [
    ("192.0.2.0/24", {"autonomous_system_number": 64496, "autonomous_system_organization": "one"}),
    ("198.51.100.0/24", {"autonomous_system_number": 4200000000, "autonomous_system_organization": "two"}),
    ("2001:db8::/48", {"autonomous_system_number": 64497, "autonomous_system_organization": "three"}),
])
