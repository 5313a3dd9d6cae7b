import anyio, pytest
pytestmark = pytest.mark.anyio
async def test_hang(): await anyio.sleep_forever()
async def test_skip(): pytest.skip("x")
async def test_fail(): pytest.fail("x")
async def test_raise(): raise ValueError
async def test_hang_cleanup():
    try: await anyio.sleep_forever()
    finally: raise KeyError
