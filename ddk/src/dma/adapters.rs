//! Adapters of C code.
//!
//! A DMA_ADAPTER is known by where it stands. What C writes into it, and into the table behind it, is never looked at.

use super::machine::{Port, Refusal};
use super::transfers::Mapped;
use crate::abi::dma::{Adapter, DeviceDescription as CDescription};
use crate::abi::operations::Operations;
use crate::edge::{Edge, LEVEL};
use crate::handles::{Handle, hold};
use crate::memory;
use crate::pool::Block;
use longshore_core::{NtStatus, Rule};
use longshore_netdma::registry::Misuse;
use longshore_wdm::verifier::Code;
use longshore_wdm::{
    DescriptionVersion, DeviceDescription, DmaSpeed, DmaWidth, InterfaceType, IoAllocationAction, Operation,
    RegisterBase, Release,
};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The tag of the pool memory that adapters stand in.
const TAG: u32 = u32::from_le_bytes(*b"DmaL");

/// How many adapters that were put back keep their memory, so that whoever uses one of them is refused.
const PUT_KEPT: usize = 256;

/// One adapter.
pub(crate) struct Record {
    /// Where its DMA_ADAPTER stands.
    pub(crate) place: Block,
    /// The device it is for, if that was said.
    device: Option<Handle>,
    pub(crate) port: Arc<dyn Port>,
    /// Its transfers start over at their end, so that both sides have the bytes meanwhile.
    pub(crate) loops: bool,
    /// What is mapped, by the map registers it is mapped with.
    pub(crate) mapped: Mutex<HashMap<u64, Arc<Mapped>>>,
    /// Its device is detached, and its memory may be gone: nothing of it is called any more.
    pub(crate) gone: Arc<AtomicBool>,
}

impl Record {
    /// Its address, by which C code knows it.
    pub(crate) fn address(&self) -> usize {
        self.place.range().start
    }
}

/// All adapters of a machine.
#[derive(Default)]
pub(crate) struct Adapters {
    live: Mutex<HashMap<usize, Arc<Record>>>,
    put: Mutex<VecDeque<Block>>,
}

impl Adapters {
    pub(crate) fn get(&self, adapter: usize) -> Option<Arc<Record>> {
        hold(&self.live).get(&adapter).cloned()
    }

    /// What Windows' verifier calls the use of what is no adapter, if it can tell.
    fn why_not(&self, adapter: usize) -> Option<Code> {
        if adapter == 0 {
            return Some(Code::NULL_ADAPTER);
        }
        let was_put = |place: &Block| place.range().start == adapter;
        hold(&self.put)
            .iter()
            .any(was_put)
            .then_some(Code::RELEASED_ADAPTER)
    }

    fn all(&self) -> Vec<Arc<Record>> {
        hold(&self.live).values().cloned().collect()
    }

    /// Whether there is an adapter of version 3, and none that is older.
    pub(crate) fn are_newer(&self) -> bool {
        let all = self.all();
        !all.is_empty() && all.iter().all(|record| record.port.table() == Release::Version3)
    }

    /// Takes an adapter away. Its memory stays for a while.
    fn remove(&self, record: &Record) {
        hold(&self.live).remove(&record.address());
        let mut put = hold(&self.put);
        put.push_back(record.place.clone());
        if put.len() > PUT_KEPT {
            put.pop_front();
        }
    }
}

/// What a device says, in the words of the contract. A BOOLEAN is true unless it is zero.
fn description(given: &CDescription) -> DeviceDescription {
    DeviceDescription {
        version: DescriptionVersion(given.version),
        master: given.master != 0,
        scatter_gather: given.scatter_gather != 0,
        demand_mode: given.demand_mode != 0,
        auto_initialize: given.auto_initialize != 0,
        dma_32bit_addresses: given.dma_32_bit_addresses != 0,
        ignore_count: given.ignore_count != 0,
        reserved1: given.reserved != 0,
        dma_64bit_addresses: given.dma_64_bit_addresses != 0,
        bus_number: given.bus_number,
        channel: given.dma_channel,
        interface_type: InterfaceType(given.interface_type),
        width: DmaWidth(given.dma_width),
        speed: DmaSpeed(given.dma_speed),
        maximum_length: given.maximum_length,
        dma_port: given.dma_port,
        address_width: given.dma_address_width,
        controller_instance: given.dma_controller_instance,
        request_line: given.dma_request_line,
        device_address: given.device_address.into(),
    }
}

impl Edge {
    /// Passes on why a call was refused, which the machine has heard already.
    pub(crate) fn refused(&self, call: &'static str, refusal: Refusal) -> NtStatus {
        let Refusal { status, rule } = refusal;
        if let Some(rule) = rule {
            self.complain(Misuse { call, rule, status });
        }
        status
    }

    /// `IoGetDmaAdapter`: where the adapter stands, and how many map registers it may use at a time.
    pub(crate) fn get_adapter(
        &self,
        device: usize,
        given: Option<CDescription>,
        table: impl Fn(Release) -> *const Operations,
    ) -> Option<(usize, u32)> {
        const CALL: &str = "IoGetDmaAdapter";
        if !self.at_passive(CALL) {
            self.stopped(CALL, LEVEL, Code::WRONG_LEVEL);
            return None;
        }
        let device = (device != 0).then_some(Handle::from_raw(device));
        let known = device.is_none_or(|device| self.is_device(device));
        let Some(given) = given.filter(|_| known) else {
            self.misuse(CALL, Rule("WDM-100"), NtStatus::INVALID_PARAMETER);
            return None;
        };
        let given = description(&given);
        let port = self.dma.as_ref()?.adapter(given);
        let port = port.map_err(|refusal| self.refused(CALL, refusal)).ok()?;
        let (registers, table) = (port.map_registers(), table(port.table()));
        let record = self.place(device, port, given.loops(), table)?;
        let address = record.address();
        hold(&self.adapters.live).insert(address, Arc::new(record));
        Some((address, registers))
    }

    /// Finds a place for an adapter and writes what C code reads there.
    fn place(
        &self,
        device: Option<Handle>,
        port: Arc<dyn Port>,
        loops: bool,
        operations: *const Operations,
    ) -> Option<Record> {
        let at = self.pool.allocate(size_of::<Adapter>(), TAG)?;
        let place = self.pool.find(&(at..at + size_of::<Adapter>()))?;
        let adapter = Adapter {
            version: Adapter::VERSION,
            size: Adapter::SIZE,
            operations,
        };
        memory::set_adapter(&place, adapter).then(|| Record {
            place,
            device,
            port,
            loops,
            mapped: Mutex::default(),
            gone: Arc::default(),
        })
    }

    /// The adapter of a call that its caller may make, or what the call is refused with.
    pub(crate) fn adapter_for(&self, adapter: usize, operation: Operation) -> Result<Arc<Record>, NtStatus> {
        let call = operation.name();
        let Some(record) = self.adapters.get(adapter) else {
            let rule = Rule("WDM-038");
            return Err(match self.adapters.why_not(adapter) {
                Some(code) => self.verifier_stop(call, rule, code),
                None => self.misuse(call, rule, NtStatus::INVALID_PARAMETER),
            });
        };
        match record.port.admits(operation) {
            Ok(()) => Ok(record),
            Err(refusal) => Err(self.refused(call, refusal)),
        }
    }

    /// `FreeAdapterObject`: the list that a call was answered with, or else the channel.
    pub(crate) fn free_object(&self, record: &Record, action: IoAllocationAction) {
        const CALL: &str = Operation::FreeAdapterObject.name();
        if self.free_answered_list(record, action) {
            return;
        }
        let context = record.port.holder(None).unwrap_or_default();
        if let Err(refusal) = record.port.free_object(&context, action) {
            self.refused(CALL, refusal);
        }
    }

    /// `PutDmaAdapter`.
    pub(crate) fn put_adapter(&self, record: &Record) {
        match record.port.put() {
            Ok(()) => self.let_go(record),
            Err(refusal) => drop(self.refused("PutDmaAdapter", refusal)),
        }
    }

    fn let_go(&self, record: &Record) {
        self.adapters.remove(record);
        self.pool.free(record.address(), TAG);
        self.contexts.forget(record.address());
        self.forget_common_buffers(record.address());
    }

    /// Takes back what a device left behind, or, with the last device, everything. That there is anything is misuse.
    pub(crate) fn clear_adapters(&self, device: Handle, is_last: bool) {
        for record in self.adapters.all() {
            if record.device != Some(device) && !is_last {
                continue;
            }
            self.misuse("LsDetachDevice", Rule("WDM-106"), NtStatus::UNSUCCESSFUL);
            // Its memory may be gone, so nothing of it is called any more.
            record.gone.store(true, Ordering::Release);
            self.stop(&record);
            self.let_go(&record);
        }
    }

    /// Stops what an adapter still does, and gives its bytes back.
    fn stop(&self, record: &Record) {
        self.stop_lists(record);
        let mapped: Vec<_> = hold(&record.mapped).drain().collect();
        for (base, mapped) in mapped {
            if let Some(context) = record.port.holder(RegisterBase::from_raw(base)) {
                let _ = record.port.cancel_mapped(&context);
                let _ = record.port.flush(&context, mapped.flush());
            }
        }
        if record.port.holder(None).is_some() {
            let _ = record.port.free_channel();
        }
    }
}
