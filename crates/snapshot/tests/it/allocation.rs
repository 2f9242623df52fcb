//! Finding a route, and writing where it leads, allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use gateward_snapshot::{Action, Found};
use policy::Values;

use crate::support::{compile_apis, request};

/// The system's allocator, counting what this thread asks of it.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator as it comes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Not there any more while the thread ends.
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn finding_a_route_and_its_path_allocates_nothing() {
    let snapshot = compile_apis(
        "- name: a
  path: /a
  hosts: [ '*.example.com', a.test ]
  upstream: up
  routes:
    - { match: { path: '/{a}/{b}.json', methods: [GET] }, rewrite: { path: '/x/{b}/{a}' } }
    - match:
        path: { regex: '/r/(?<year>[0-9]{4})/(?<rest>.*)' }
        headers: { x-a: { regex: '[a-z]+' } }
        query: { q: { present: true } }
      rewrite: { path: { regex: '^/r/(.*)', to: '/$1' } }
    - { match: { path: '/{a}/{b}/{c}/{d}', methods: [POST] } }
    - { match: { path: '/{a}/{b}/{c}/{d}', methods: [PUT] } }",
    );
    let headers = [("X-A", "abc"), ("x-a", "def")];
    let requests = [
        request("GET x.y.example.com/a/1/2.json", &[]),
        request("GET a.test/a/r/2026/x/y?a=b&q=%41+", &headers[..1]),
        request("GET a.test/a/r/2026/x/y?q=1", &headers),
        request("GET a.test/a/1/2/3/4", &[]),
        request("GET other/a", &[]),
    ];
    let mut params = Values::new();
    let mut out = String::with_capacity(256);
    let mut run = || {
        for request in &requests {
            let Found::Route(route) = snapshot.router.find(0, request, &mut params) else {
                continue;
            };
            let Action::Forward(forward) = &route.action else { panic!("it is forwarded") };
            out.clear();
            assert!(forward.path(&request.target.path, &params, &mut out).is_ok());
        }
    };
    // Expressions make room for their work when a thread first uses them.
    run();
    let before = COUNT.get();
    run();
    assert_eq!(COUNT.get() - before, 0);
}
