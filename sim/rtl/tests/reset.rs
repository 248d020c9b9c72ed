//! The card out of power-on reset: it answers on AXI4-Lite with its magic word.
use penstock_rtl::{Inputs, Options, Outputs, Rtl};

#[test]
fn magic_word_after_reset() {
    let mut rtl = Rtl::new(&Options::default()).unwrap();
    let mut inputs = Inputs { rst: 1, ..Inputs::default() };
    let mut outputs = Outputs::default();
    for _ in 0..16 {
        rtl.tick(&inputs, &mut outputs);
    }
    inputs.rst = 0;
    inputs.axil_arvalid = 1;
    inputs.axil_rready = 1;
    for _ in 0..100 {
        rtl.tick(&inputs, &mut outputs);
        if outputs.axil_arready == 1 && inputs.axil_arvalid == 1 {
            inputs.axil_arvalid = 0;
        }
        if outputs.axil_rvalid == 1 {
            assert_eq!(outputs.axil_rdata, 0x5053_544b);
            assert_eq!(rtl.take_failure(), None);
            return;
        }
    }
    panic!("no answer in 100 cycles");
}
